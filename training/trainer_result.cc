// What a trainer gives away: its parameters as one buffer, and the trained model.
#include <algorithm>

#include "graph/ops/cast.h"
#include "graph/ops/op.h"
#include "optimizer/optimizer.h"
#include "training/forms.h"
#include "training/trainer.h"

namespace treadle {

using Role = Variable::Role;

int64_t Trainer::parameter_count() const {
  int64_t count = 0;
  for (const Variable& v : variables()) {
    if (v.role == Role::kParameter) count += v.initial.count();
  }
  return count;
}

namespace {

void check_size(size_t given, int64_t expected) {
  TREADLE_CHECK(given == static_cast<size_t>(expected), kInvalidArgument, "a buffer of ", given,
                " numbers for ", expected, " parameters");
}

}  // namespace

void Trainer::get_parameters(std::span<float> to) const {
  check_size(to.size(), parameter_count());
  for (const Variable& v : variables()) {
    if (v.role != Role::kParameter) continue;
    const auto size = static_cast<size_t>(v.initial.count());
    const Tensor as_floats = cast_tensor(variable(v.name), DType::kFloat);
    std::ranges::copy(as_floats.data<float>(), to.begin());
    to = to.subspan(size);
  }
}

void Trainer::set_parameters(std::span<const float> from) {
  check_size(from.size(), parameter_count());
  for (const Variable& v : variables()) {
    if (v.role != Role::kParameter) continue;
    const Tensor& own = variable(v.name);
    const auto size = static_cast<size_t>(own.count());
    Tensor part(DType::kFloat, own.dims());
    std::ranges::copy(from.first(size), part.data<float>().begin());
    set_variable(v.name, cast_tensor(part, own.dtype()));
    from = from.subspan(size);
  }
}

Graph Trainer::exported(const ExportOptions& options) const {
  TREADLE_CHECK(!options.averaged || this->options().joint.average > 0, kInvalidArgument,
                "no average of the parameters is kept");
  Graph graph = model().clone();
  for (const Variable& v : variables()) {
    if (v.role != Role::kParameter && v.role != Role::kStatistic) continue;
    const bool average = options.averaged && v.role == Role::kParameter;
    graph.set_constant(graph.find_value(v.name),
                       variable(average ? "average/" + v.name : v.name).clone());
  }
  put_in_inference_form(graph);
  annotate(graph);
  if (options.fold_batchnorm) {
    OptimizeOptions only;
    for (const std::string& pass : pass_names()) {
      if (pass != "fold_batchnorm" && pass != "dead_code") only.skip.insert(pass);
    }
    optimize(graph, only);
  }
  graph.remove_dead();
  verify(graph);
  return graph;
}

}  // namespace treadle

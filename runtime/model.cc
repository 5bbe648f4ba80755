#include <algorithm>

#include "graph/base/suggestion.h"
#include "graph/ops/op.h"
#include "runtime/plan.h"
#include "runtime/runtime.h"

namespace treadle {

Model::Model() = default;
Model::~Model() = default;

namespace {

// Whether quantized products are faster than those of floats, which any device has.
bool multiplies_bytes(const Backend& backend) {
  if (&backend == &reference_backend()) return false;
  const Tensor weights = Tensor::zeros(DType::kInt8, {4, 1});
  const Tensor one = Tensor::scalar(1.0f);
  Node node;
  node.op = find_op("QuantizedMatMul", "treadle");
  const TensorSpec scale{DType::kFloat, {}};
  const NodeSpec spec{&node,
                      {{DType::kUint8, {1, 4}}, {DType::kInt8, {4, 1}}, {}, scale, scale},
                      {{DType::kFloat, {1, 1}}},
                      {Tensor(), weights, Tensor(), one, one}};
  return backend.supports(spec).ok;
}

// Whether products of 16-bit floats have kernels, as the reference has them: each node rounds.
bool multiplies_halves(const Backend& backend) {
  Node node;
  node.op = find_op("MatMul");
  return std::ranges::all_of(std::initializer_list<DType>{DType::kFloat16, DType::kBfloat16},
                             [&](DType half) {
                               const TensorSpec one{half, {1, 1}};
                               return backend.supports({&node, {one, one}, {one}, {}}).ok;
                             });
}

}  // namespace

std::shared_ptr<const Model> Model::create(Graph graph, const ModelOptions& options) {
  std::shared_ptr<Model> model(new Model());
  std::string why_not;
  model->options_ = options;
  model->backend_ = find_backend(options.device, &why_not);
  TREADLE_CHECK(model->backend_ != nullptr, kDevice, why_not);
  OptimizeOptions passes = options.passes;
  if (!multiplies_bytes(*model->backend_)) passes.skip.insert("fuse_quantized");
  if (multiplies_halves(*model->backend_)) passes.skip.insert("widen_halves");
  if (options.optimize) model->report_ = optimize(graph, passes);
  model->graph_ = std::move(graph);
  model->plans_ = std::make_unique<PlanCache>(options.plan_cache, options.plan_cache_bytes);
  return model;
}

namespace {

// The position of `name` among `count` names; kInvalidArgument when it is none of them.
template <class NameOf>
size_t find_name(std::string_view what, std::string_view name, size_t count, NameOf name_of) {
  for (size_t i = 0; i < count; ++i) {
    if (name_of(i) == name) return i;
  }
  std::vector<std::string> names;
  std::string list;
  for (size_t i = 0; i < count; ++i) {
    names.push_back(name_of(i));
    list += cat(i == 0 ? "'" : ", '", names.back(), "'");
  }
  fail(Code::kInvalidArgument, "the model has no ", what, " '", name, "'",
       suggestion(name, names, "; it has " + list));
}

}  // namespace

size_t Model::find_input(std::string_view name) const {
  const auto& inputs = graph_.inputs();
  const auto found = std::find(inputs.begin(), inputs.end(), graph_.find_value(name));
  if (found != inputs.end()) return static_cast<size_t>(found - inputs.begin());
  return find_name("input", name, input_count(),
                   [this](size_t i) -> const std::string& { return input(i).name; });
}

size_t Model::find_output(std::string_view name) const {
  return find_name("output", name, output_count(),
                   [this](size_t i) -> const std::string& { return output_name(i); });
}

}  // namespace treadle

#include "tests/support/gradcheck.h"

#include <gtest/gtest.h>

#include <cmath>

#include "graph/ops/op.h"
#include "graph/text.h"
#include "tests/support/tensors.h"
#include "training/autodiff.h"

namespace treadle::test {
namespace {

constexpr double kStep = 3e-5;
constexpr int64_t kFewElements = 6;

bool is_double(const Type& type) { return type.is_tensor() && type.dtype == DType::kDouble; }

double dot(const Tensor& a, const Tensor& b) {
  double sum = 0;
  for (int64_t i = 0; i < a.count(); ++i) {
    const auto at = static_cast<size_t>(i);
    sum += a.data<double>()[at] * b.data<double>()[at];
  }
  return sum;
}

double norm(const Tensor& a) { return std::sqrt(dot(a, a)); }

struct Function {
  const Graph& graph;
  std::vector<size_t> outputs;  // those of doubles
  std::vector<Tensor> weights;  // of these

  double at(const std::vector<Value>& inputs) const {
    const std::vector<Value> results = evaluate(graph, inputs);
    double sum = 0;
    for (size_t i = 0; i < outputs.size(); ++i) {
      sum += dot(results[outputs[i]].tensor(), weights[i]);
    }
    return sum;
  }
  double along(std::vector<Value> inputs, size_t i, const Tensor& direction, double step) const {
    Tensor moved = inputs[i].tensor().clone();
    for (size_t k = 0; k < moved.data<double>().size(); ++k) {
      moved.data<double>()[k] += step * direction.data<double>()[k];
    }
    inputs[i] = moved;
    return at(inputs);
  }
  double difference(const std::vector<Value>& inputs, size_t i, const Tensor& v, double h) const {
    return (along(inputs, i, v, h) - along(inputs, i, v, -h)) / (2 * h);
  }
  // Central differences at two steps, extrapolated.
  double slope(const std::vector<Value>& inputs, size_t i, const Tensor& v) const {
    return (4 * difference(inputs, i, v, kStep) - difference(inputs, i, v, 2 * kStep)) / 3;
  }
};

std::vector<Tensor> directions(const Dims& dims, uint64_t seed) {
  std::vector<Tensor> list;
  const int64_t count = element_count(dims);
  if (count > kFewElements) {
    for (uint64_t k = 0; k < 2; ++k) {
      list.push_back(random_tensor(DType::kDouble, dims, seed + k));
    }
    return list;
  }
  for (int64_t i = 0; i < count; ++i) {
    list.push_back(Tensor::zeros(DType::kDouble, dims));
    list.back().data<double>()[static_cast<size_t>(i)] = 1;
  }
  return list;
}

struct Derivative {
  Graph graph;                  // inputs of the function, then a seed for each output
  std::vector<size_t> outputs;  // of the function, those of doubles
  std::vector<size_t> wrt;      // of its inputs
};

Derivative differentiate(const Graph& graph) {
  Derivative made;
  GradientRequest request;
  request.zero_unreachable = true;
  Graph typed = graph.clone();
  annotate(typed);
  for (size_t i = 0; i < typed.outputs().size(); ++i) {
    const GraphOutput& o = typed.outputs()[i];
    if (!is_double(typed.value(o.value).type)) continue;
    made.outputs.push_back(i);
    request.outputs.push_back(o.name);
    request.seeds.push_back(typed.unique_name(cat("seed_", graph.inputs().size(), "_", i)));
  }
  for (size_t i = 0; i < typed.inputs().size(); ++i) {
    const ValueDef& def = typed.value(typed.inputs()[i]);
    if (!is_double(def.type)) continue;
    made.wrt.push_back(i);
    request.wrt.push_back(def.name);
  }
  made.graph = autodiff(typed, request);
  verify(made.graph);
  return made;
}

std::string compare(const Function& f, const std::vector<Value>& inputs, size_t i,
                    const Value& gradient, const Gradcheck& options) {
  const Tensor& x = inputs[i].tensor();
  const Tensor& g = gradient.tensor();
  if (g.dtype() != x.dtype() || g.dims() != x.dims()) {
    return cat("the gradient is ", dtype_name(g.dtype()), shape_text(g.dims()), ", expected ",
               shape_text(x.dims()));
  }
  const double noise = 1e-10 * (1 + std::abs(f.at(inputs)));
  for (const Tensor& v : directions(x.dims(), options.seed + i)) {
    const double want = f.slope(inputs, i, v);
    const double got = dot(g, v);
    const double scale = norm(g) * norm(v) + std::abs(want);
    if (!std::isfinite(want)) continue;
    if (!(std::abs(got - want) <= noise + options.tolerance * scale)) {
      return cat("along ", x.count() > kFewElements ? "a random direction" : "one element",
                 " it is ", got, ", by differences ", want);
    }
  }
  return "";
}

}  // namespace

std::string gradcheck(const Graph& graph, const std::vector<Value>& inputs,
                      const Gradcheck& options) {
  const Derivative made = differentiate(graph);
  if (made.wrt.empty() || made.outputs.empty()) return "";
  const std::vector<Value> results = evaluate(graph, inputs);
  Function f{graph, made.outputs, {}};
  std::vector<Value> all = inputs;
  for (size_t i : made.outputs) {
    f.weights.push_back(
        random_tensor(DType::kDouble, results[i].tensor().dims(), options.seed + 100 + i));
    all.emplace_back(f.weights.back());
  }
  const std::vector<Value> gradients = evaluate(made.graph, all);
  for (size_t k = 0; k < made.wrt.size(); ++k) {
    const size_t i = made.wrt[k];
    const std::string wrong = compare(f, inputs, i, gradients[k], options);
    if (!wrong.empty()) {
      return cat("for '", graph.value(graph.inputs()[i]).name, "': ", wrong);
    }
  }
  if (options.order <= 1) return "";
  Gradcheck next = options;
  next.order -= 1;
  const std::string wrong = gradcheck(made.graph, all, next);
  return wrong.empty() ? "" : "second order, " + wrong;
}

void expect_gradients(const std::string& text, const Gradcheck& options, double low, double high) {
  SCOPED_TRACE(text);
  Graph graph = parse(text);
  std::vector<Value> inputs;
  for (size_t i = 0; i < graph.inputs().size(); ++i) {
    const Type& type = graph.value(graph.inputs()[i]).type;
    inputs.emplace_back(
        random_tensor(type.dtype, *concrete(*type.shape), options.seed + 10 + i, low, high));
  }
  try {
    EXPECT_EQ(gradcheck(graph, inputs, options), "");
    for (ValueId v : graph.inputs()) {
      Shape& shape = *graph.value(v).type.shape;
      for (size_t d = 0; d < shape.size(); ++d) shape[d] = Dim::symbol(cat(v.index, "_", d));
    }
    EXPECT_EQ(gradcheck(graph, inputs, options), "") << "sizes known at run time only";
  } catch (const Error& e) {
    ADD_FAILURE() << e.what();
  }
}

std::vector<Value> gradients_at(const Graph& graph, const std::vector<Value>& inputs) {
  GradientRequest request;
  request.outputs = {graph.outputs()[0].name};
  for (ValueId v : graph.inputs()) {
    if (is_double(graph.value(v).type)) request.wrt.push_back(graph.value(v).name);
  }
  return evaluate(autodiff(graph, request), inputs);
}

}  // namespace treadle::test

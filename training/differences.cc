#include "training/differences.h"

#include <algorithm>
#include <cmath>

#include "graph/ops/op.h"
#include "graph/ops/philox.h"
#include "training/capture_constants.h"
#include "training/in_double.h"

namespace treadle {
namespace {

std::span<const double> numbers(const Value& v) { return v.tensor().data<double>(); }

double dot(const Value& a, const Value& b) {
  const auto x = numbers(a);
  const auto y = numbers(b);
  double sum = 0;
  for (size_t i = 0; i < x.size(); ++i) sum += x[i] * y[i];
  return sum;
}

double norm(const Value& v) { return std::sqrt(dot(v, v)); }

// The function whose gradient it is: the sum of the outputs' products with their seeds.
struct Function {
  Graph graph;
  std::vector<Value> inputs;
  std::vector<Value> seeds;  // empty ones: ones

  double at() const {
    const std::vector<Value> results = evaluate(graph, inputs);
    double sum = 0;
    for (size_t i = 0; i < results.size(); ++i) {
      if (!seeds[i].empty()) {
        sum += dot(results[i], seeds[i]);
      } else {
        for (double x : numbers(results[i])) sum += x;
      }
    }
    return sum;
  }
  void put(ValueId value, const Value& tensor) {
    if (graph.value(value).is_constant()) return graph.set_constant(value, tensor.tensor());
    const auto at = std::ranges::find(graph.inputs(), value);
    TREADLE_CHECK(at != graph.inputs().end(), kInvalidArgument, "the gradient for '",
                  graph.value(value).name,
                  "', which is computed, cannot be compared with differences");
    inputs[static_cast<size_t>(at - graph.inputs().begin())] = tensor;
  }
};

Tensor moved(const Value& from, const Value& direction, double step) {
  Tensor t = from.tensor().clone();
  const auto to = t.data<double>();
  for (size_t i = 0; i < to.size(); ++i) to[i] += step * numbers(direction)[i];
  return t;
}

// Central differences at two steps, extrapolated.
double slope(Function& f, ValueId wrt, const Value& x, const Value& direction) {
  constexpr double kStep = 3e-5;
  auto at = [&](double step) {
    f.put(wrt, moved(x, direction, step));
    return f.at();
  };
  auto difference = [&](double h) { return (at(h) - at(-h)) / (2 * h); };
  const double result = (4 * difference(kStep) - difference(2 * kStep)) / 3;
  f.put(wrt, x);
  return result;
}

Tensor random_direction(const Dims& dims, uint64_t seed) {
  Tensor t(DType::kDouble, dims);
  for (size_t i = 0; i < t.data<double>().size(); ++i) {
    t.data<double>()[i] = 2 * philox_uniform(seed, i) - 1;
  }
  return t;
}

// The outputs that the request names, of the same inputs.
Function function_of(const Graph& graph, const GradientRequest& request,
                     const std::vector<Value>& inputs, const Graph& joint) {
  Function f{graph.clone(), {inputs.begin(), inputs.begin() + graph.inputs().size()}, {}};
  while (!f.graph.outputs().empty()) f.graph.remove_output(f.graph.outputs().size() - 1);
  for (size_t i = 0; i < request.outputs.size(); ++i) {
    f.graph.add_output("", named_value(graph, request.outputs[i]));
    f.seeds.emplace_back();
    if (i >= request.seeds.size() || request.seeds[i].empty()) continue;
    const ValueId seed = named_value(joint, request.seeds[i]);
    const auto at = std::ranges::find(joint.inputs(), seed) - joint.inputs().begin();
    f.seeds.back() = inputs.at(static_cast<size_t>(at));
  }
  return f;
}

}  // namespace

std::vector<GradientDifference> compare_with_differences(const Graph& graph,
                                                         const GradientRequest& request,
                                                         std::span<const Value> inputs,
                                                         uint64_t seed) {
  Graph shared = graph.clone();
  capture_constants(shared);  // while the bytes tell
  const Graph wide = in_double(shared);
  GradientRequest gradients = request;
  gradients.keep_outputs = false;
  const Graph joint = autodiff(wide, gradients);
  std::vector<Value> values;
  for (size_t i = 0; i < joint.inputs().size(); ++i) {
    const bool given = i < inputs.size() && !inputs[i].empty();
    values.push_back(given ? in_double(inputs[i])
                           : Value(joint.value(joint.inputs()[i]).default_value));
  }
  const std::vector<Value> results = evaluate(joint, values);
  Function f = function_of(wide, request, values, joint);
  std::vector<GradientDifference> list;
  for (size_t i = 0; i < request.wrt.size(); ++i) {
    const ValueId wrt = named_value(wide, request.wrt[i]);
    const ValueDef& def = wide.value(wrt);
    const auto at = std::ranges::find(wide.inputs(), wrt);
    const Value x = def.is_constant() || at == wide.inputs().end()
                        ? Value(def.constant)
                        : values[static_cast<size_t>(at - wide.inputs().begin())];
    const Value direction = random_direction(results[i].tensor().dims(), seed + i);
    GradientDifference d{request.wrt[i], dot(results[i], direction)};
    d.difference = slope(f, wrt, x, direction);
    const double scale = std::max(norm(results[i]) * norm(direction), std::abs(d.difference));
    d.relative = scale == 0 ? 0 : std::abs(d.gradient - d.difference) / scale;
    list.push_back(d);
  }
  return list;
}

}  // namespace treadle

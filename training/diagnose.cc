#include "training/diagnose.h"

#include <algorithm>
#include <cmath>

#include "graph/ops/op.h"

namespace treadle {
namespace {

// "nan" or "-inf", with the place; "" where all elements are finite.
std::string what_is_wrong(const Value& value) {
  const Tensor* t = std::get_if<Tensor>(&value);
  if (t == nullptr || !is_float(t->dtype())) return "";
  const std::vector<double> elements = t->to_doubles();
  const auto it = std::ranges::find_if(elements, [](double x) { return !std::isfinite(x); });
  if (it == elements.end()) return "";
  return cat(*it, " at element ", it - elements.begin(), " of ", shape_text(t->dims()));
}

bool is_shown(const Graph& graph, ValueId v) {
  if (!v.valid()) return false;
  const Type& type = graph.value(v).type;
  return type.is_tensor() && is_float(type.dtype);
}

}  // namespace

std::string first_not_finite(const Graph& graph, std::span<const Value* const> inputs,
                             int threads) {
  for (size_t i = 0; i < inputs.size(); ++i) {
    const std::string wrong = what_is_wrong(*inputs[i]);
    if (!wrong.empty()) return cat("'", graph.value(graph.inputs()[i]).name, "' holds ", wrong);
  }
  Graph shown = graph.clone();
  shown.states.clear();
  while (!shown.outputs().empty()) shown.remove_output(shown.outputs().size() - 1);
  std::vector<std::string> nodes;  // that yield them, in words
  for (NodeId id : shown.topological_order()) {
    const Node node = shown.node(id);
    for (ValueId v : node.outputs) {
      if (!is_shown(shown, v)) continue;
      shown.add_output(shown.value(v).name, v);
      nodes.push_back(cat("'", shown.value(v).name, "' of ", describe(node), " holds "));
    }
  }
  ModelOptions options;
  options.optimize = false;
  Session session(Model::create(std::move(shown), options), {threads});
  std::vector<Value> results(nodes.size());
  std::vector<Value*> outputs;
  for (Value& v : results) outputs.push_back(&v);
  session.run_into(inputs, outputs);
  for (size_t i = 0; i < results.size(); ++i) {
    const std::string wrong = what_is_wrong(results[i]);
    if (!wrong.empty()) return nodes[i] + wrong;
  }
  return "";
}

}  // namespace treadle

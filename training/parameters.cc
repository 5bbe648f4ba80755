#include "training/parameters.h"

#include <algorithm>
#include <set>

#include "graph/ops/op.h"
#include "training/joint.h"

namespace treadle {
namespace {

// Constants in the order in which nodes read them.
std::vector<ValueId> read_constants(const Graph& graph) {
  std::vector<ValueId> found;
  std::set<uint32_t> seen;
  for (NodeId id : graph.topological_order()) {
    for_each_use(graph.node(id), [&](ValueId v) {
      if (graph.value(v).is_constant() && seen.insert(v.index).second) found.push_back(v);
    });
  }
  return found;
}

std::set<uint32_t> statistics_of(const Graph& graph) {
  std::set<uint32_t> statistics;
  for (NodeId id : graph.topological_order()) {
    const Node& node = graph.node(id);
    if (!node.is("BatchNormalization")) continue;
    for (size_t i : {3, 4}) statistics.insert(node.input(i).index);
  }
  return statistics;
}

}  // namespace

double factor_of(const std::vector<ParameterGroup>& groups, const std::string& name,
                 std::optional<double> ParameterGroup::*factor) {
  for (const ParameterGroup& g : groups) {
    if ((g.*factor).has_value() && matches(g.pattern, name)) return *(g.*factor);
  }
  return 1;
}

bool is_frozen(const std::vector<ParameterGroup>& groups, const std::string& name) {
  return std::ranges::any_of(
      groups, [&](const ParameterGroup& g) { return g.frozen && matches(g.pattern, name); });
}

std::vector<ValueId> find_parameters(const Graph& graph,
                                     const std::vector<ParameterGroup>& groups) {
  const std::set<uint32_t> statistics = statistics_of(graph);
  std::vector<ValueId> found;
  for (ValueId v : read_constants(graph)) {
    const ValueDef& def = graph.value(v);
    if (!is_float(def.constant.dtype()) || statistics.contains(v.index)) continue;
    // A number that the exporter wrote out looks like a parameter of rank 0.
    const bool named =
        std::ranges::any_of(groups, [&](const ParameterGroup& g) { return g.pattern == def.name; });
    if (def.constant.rank() > 0 || named) found.push_back(v);
  }
  return found;
}

ValueId make_input(Graph& graph, ValueId constant) {
  const std::string name = graph.value(constant).name;
  const ValueId input = graph.add_input("", graph.value(constant).type);
  graph.replace_uses(constant, input);
  graph.remove_constant(constant);
  graph.rename_value(input, name);
  return input;
}

void make_constant(Graph& graph, ValueId input, const Tensor& tensor) {
  const std::string name = graph.value(input).name;
  const ValueId constant = graph.add_constant("", tensor);
  graph.replace_uses(input, constant);
  graph.remove_input(
      static_cast<size_t>(std::ranges::find(graph.inputs(), input) - graph.inputs().begin()));
  graph.rename_value(constant, name);
}

std::vector<std::string> parameter_names(const Graph& model,
                                         const std::vector<ParameterGroup>& groups) {
  std::vector<std::string> names;
  for (ValueId v : find_parameters(model, groups)) names.push_back(model.value(v).name);
  return names;
}

Tensor filled(DType dtype, const Dims& dims, double value) {
  Tensor t = Tensor::zeros(dtype, dims);
  if (value == 0) return t;
  dispatch(dtype, FloatTypes{}, [&]<class T>() {
    if constexpr (is_reduced_float<T>) {
      std::ranges::fill(t.data<T>(), T(static_cast<float>(value)));
    } else {
      std::ranges::fill(t.data<T>(), static_cast<T>(value));
    }
  });
  return t;
}

}  // namespace treadle

#include "training/gradient_nodes.h"

#include <map>

#include "graph/builder.h"
#include "training/autodiff.h"

namespace treadle {
namespace {

constexpr const char* kDomain = "ai.onnx.preview.training";

// The values that the node names: those it differentiates for, and those it holds.
struct Named {
  std::vector<ValueId> xs;
  std::vector<ValueId> all;  // xs, then zs
  ValueId y;
};

// What the outputs of the nodes that were replaced have become.
using Replaced = std::map<std::string, ValueId>;

Named read_names(const Graph& graph, const Node& node, const Replaced& replaced) {
  Named named;
  auto find = [&](const std::string& name) {
    const auto found = replaced.find(name);
    return found != replaced.end() ? found->second : named_value(graph, name);
  };
  for (const std::string& name : node.attributes.strings("xs")) named.xs.push_back(find(name));
  named.all = named.xs;
  for (const std::string& name : node.attributes.strings("zs")) named.all.push_back(find(name));
  named.y = find(node.attributes.s("y", ""));
  TREADLE_CHECK(node.inputs.size() == named.all.size() && node.outputs.size() <= named.xs.size(),
                kInvalidModel, "it has ", node.inputs.size(), " inputs and ", node.outputs.size(),
                " outputs for ", named.xs.size(), " xs and ", named.all.size() - named.xs.size(),
                " zs");
  return named;
}

// What leads from the named values to y once more, from the node's inputs instead; its y. Where
// they are the same values, nothing is copied.
ValueId copy_between(Graph& graph, const Named& named, const std::vector<ValueId>& inputs) {
  if (inputs == named.all) return named.y;
  std::map<uint32_t, ValueId> copied;
  for (size_t i = 0; i < inputs.size(); ++i) copied[named.all[i].index] = inputs[i];
  auto mapped = [&](ValueId v) {
    const auto found = v.valid() ? copied.find(v.index) : copied.end();
    return found == copied.end() ? v : found->second;
  };
  for (NodeId id : graph.topological_order()) {
    Node node = graph.node(id);
    bool reads = false;
    for_each_use(node, [&](ValueId v) { reads = reads || copied.contains(v.index); });
    if (!reads || node.is("Gradient", kDomain)) continue;
    for (ValueId& v : node.inputs) v = mapped(v);
    for (Subgraph& s : node.subgraphs) {
      s.graph = std::make_shared<Graph>(s.graph->clone());
      for (ValueId& v : s.captures) v = mapped(v);
    }
    node.name += "/again";
    for (ValueId& v : node.outputs) {
      if (!v.valid()) continue;
      const ValueId made = graph.add_value(graph.value(v).name, graph.value(v).type);
      copied.emplace(v.index, made);  // but for the named values themselves
      v = made;
    }
    graph.add_node(std::move(node));
  }
  return mapped(named.y);
}

void expand_gradient(Graph& graph, NodeId id, Replaced& replaced,
                     const std::shared_ptr<const AddedOps>& operators) {
  const Node node = graph.node(id);
  const Named named = read_names(graph, node, replaced);
  GradientTargets targets;
  targets.outputs = {copy_between(graph, named, node.inputs)};
  targets.wrt = {node.inputs.begin(),
                 node.inputs.begin() + static_cast<ptrdiff_t>(named.xs.size())};
  targets.zero_unreachable = true;
  targets.held = node.inputs;
  targets.operators = operators;
  const std::vector<ValueId> gradients = add_gradients(graph, targets);
  for (size_t i = 0; i < node.outputs.size(); ++i) {
    if (!node.outputs[i].valid()) continue;
    replaced[graph.value(node.outputs[i]).name] = gradients[i];
    graph.replace_uses(node.outputs[i], gradients[i]);
  }
  graph.remove_node(id);
}

}  // namespace

void expand_gradient_nodes(Graph& graph, const std::shared_ptr<const AddedOps>& operators) {
  Replaced replaced;
  for (NodeId id : graph.topological_order()) {
    if (!graph.alive(id) || !graph.node(id).is("Gradient", kDomain)) continue;
    const std::string where = describe(graph.node(id));
    try {
      expand_gradient(graph, id, replaced, operators);
    } catch (Error& e) {
      e.add_context(where);
      throw;
    }
  }
  if (replaced.empty()) return;
  graph.remove_dead();
  annotate(graph);
}

}  // namespace treadle

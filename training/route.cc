#include "training/route.h"

#include <algorithm>

#include "graph/ops/op.h"
#include "training/gradient.h"

namespace treadle {

void spread(const Graph& graph, const Node& node, std::vector<bool>& depends) {
  if (gradient_support(*node.op).kind == GradientKind::kZero) return;
  bool reached = false;
  for_each_use(node, [&](ValueId v) { reached = reached || depends[v.index]; });
  if (!reached) return;
  for (ValueId v : node.outputs) {
    if (v.valid() && is_smooth(graph.value(v).type)) depends[v.index] = true;
  }
}

Route find_route(const Graph& graph, const GradientTargets& targets) {
  Route route;
  auto is_held = [&](const Node& node) {
    return std::ranges::any_of(targets.held, [&](ValueId v) {
      return std::ranges::find(node.outputs, v) != node.outputs.end();
    });
  };
  route.depends.resize(graph.value_count());
  route.counts.resize(graph.value_count());
  const std::vector<NodeId> order = graph.topological_order();
  for (ValueId v : targets.wrt) route.depends[v.index] = true;
  for (NodeId id : order) {
    if (!is_held(graph.node(id))) spread(graph, graph.node(id), route.depends);
  }
  for (ValueId v : targets.outputs) route.counts[v.index] = route.depends[v.index];
  for (auto it = order.rbegin(); it != order.rend(); ++it) {
    const Node& node = graph.node(*it);
    const bool on = std::ranges::any_of(
        node.outputs, [&](ValueId v) { return v.valid() && route.counts[v.index]; });
    bool reached = false;
    for_each_use(node, [&](ValueId v) { reached = reached || route.depends[v.index]; });
    if (!on || !reached || is_held(node)) continue;
    route.nodes.push_back(*it);
    route.on.insert(it->index);
    for_each_use(node, [&](ValueId v) {
      if (route.depends[v.index]) route.counts[v.index] = true;
    });
  }
  std::ranges::reverse(route.nodes);
  return route;
}

std::string path_text(const Graph& graph, const Route& route, NodeId from) {
  constexpr size_t kShown = 6;
  std::vector<std::string> names;
  NodeId at = from;
  const Node* node = &graph.node(at);
  for (bool found = true; found;) {
    names.push_back("'" + node->name + "'");
    found = false;
    for (ValueId v : node->outputs) {
      if (!v.valid() || !route.counts[v.index]) continue;
      const auto& users = graph.value(v).users;
      const auto next =
          std::ranges::find_if(users, [&](NodeId u) { return route.on.contains(u.index); });
      if (next == users.end()) continue;
      node = &graph.node(*next);
      found = true;
      break;
    }
  }
  std::string text;
  for (size_t i = 0; i < names.size(); ++i) {
    if (names.size() > kShown && i == kShown / 2) {
      text += cat(" -> ", names.size() - kShown + 1, " more");
      i = names.size() - kShown / 2;
    }
    text += (i == 0 ? "" : " -> ") + names[i];
  }
  return text;
}

}  // namespace treadle

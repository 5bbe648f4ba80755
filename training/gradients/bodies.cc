#include "training/gradients/bodies.h"

#include <algorithm>

#include "training/autodiff.h"

namespace treadle {

std::vector<ValueId> wanted_captures(const GradientContext& c) {
  std::vector<ValueId> wanted;
  for (const Subgraph& s : c.node().subgraphs) {
    for (ValueId v : s.captures) {
      if (c.wants(v) && std::ranges::find(wanted, v) == wanted.end()) wanted.push_back(v);
    }
  }
  return wanted;
}

Node node_for(const GradientContext& c, const Op* op, const char* suffix) {
  Node node;
  node.op = op;
  node.name = cat(c.node().name, "/", suffix);
  node.origins = c.node().origins;
  if (node.origins.empty()) node.origins.push_back(c.node().name);
  return node;
}

Node node_for(const GradientContext& c, const char* kind, const char* suffix) {
  return node_for(c, find_op(kind), suffix);
}

std::vector<Expr> differentiate(GradientContext& c, Body& body, const std::vector<Expr>& results,
                                const std::vector<std::optional<Expr>>& seeds,
                                const std::vector<Expr>& wrt) {
  GradientTargets targets;
  targets.zero_unreachable = true;
  for (size_t i = 0; i < results.size(); ++i) {
    if (!seeds[i]) continue;
    targets.outputs.push_back(results[i].id());
    targets.seeds.push_back(seeds[i]->id());
  }
  for (const Expr& e : wrt) targets.wrt.push_back(e.id());
  targets.held = targets.wrt;
  targets.operators = c.operators();
  std::vector<Expr> gradients;
  for (ValueId v : add_gradients(body.graph(), targets)) gradients.emplace_back(body.builder(), v);
  return gradients;
}

}  // namespace treadle

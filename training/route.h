// The way of gradients through a graph: what lies between the wanted values and the outputs.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "training/autodiff.h"

namespace treadle {

struct Route {
  std::vector<bool> depends;  // values that change smoothly with a wanted value
  std::vector<bool> counts;   // of these, those that an output depends on
  std::vector<NodeId> nodes;  // producers of values that count, first ones first
  std::set<uint32_t> on;      // the same
};

Route find_route(const Graph& graph, const GradientTargets& targets);
// Marks the node's outputs that change smoothly with a value that `depends` marks.
void spread(const Graph& graph, const Node& node, std::vector<bool>& depends);
// "'a' -> 'b' -> 'loss'": the nodes after this one, down to an output.
std::string path_text(const Graph& graph, const Route& route, NodeId from);

}  // namespace treadle

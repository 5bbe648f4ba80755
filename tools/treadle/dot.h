// A graph as a drawing for Graphviz.
#pragma once

#include <string>

#include "graph/graph.h"

namespace treadle::tool {

// Nodes with operator and name, edges with the tensor's type; inputs and outputs as ellipses.
std::string dot_text(const Graph& graph);

}  // namespace treadle::tool

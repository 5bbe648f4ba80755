// The order in which a plan runs the nodes of a graph.
#pragma once

#include <vector>

#include "graph/graph.h"

namespace treadle {

// Producers first. Of a graph with states, each new value of a state is made as soon as what it
// needs is there, the states of the last outputs first: in a training step a gradient is used up
// before the next one is made. What reads a state's old value goes before that is overwritten.
std::vector<NodeId> run_order(const Graph& graph);

}  // namespace treadle

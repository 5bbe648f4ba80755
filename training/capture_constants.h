// Weights that the bodies of a graph read, as single values.
#pragma once

#include "graph/graph.h"

namespace treadle {

// Constants of floats that bodies hold for themselves, as imported ones do, become captures of the
// graph's own where those share the bytes.
void capture_constants(Graph& graph);

}  // namespace treadle

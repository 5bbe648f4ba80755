// What holds of a body's inputs in every turn. Private to this folder.
#pragma once

#include "graph/graph.h"

namespace treadle {

// Sets the types of the inputs of body `s` of node `node`: its captures have those of the outer
// values. What a Loop or Scan carries, and slices, have the shapes of the first turn where the body
// keeps them; else, and of other operators, their dimensions are open.
void set_body_types(const Graph& outer, const Node& node, const Subgraph& s);

}  // namespace treadle

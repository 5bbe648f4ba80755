// A graph as it is in double, for comparing gradients with differences.
#pragma once

#include "graph/graph.h"

namespace treadle {

// All floats of 16 and 32 bits become doubles: inputs, constants, and what attributes name. Where
// an operator takes no doubles, its inputs are rounded to float and its results widened again.
Graph in_double(const Graph& graph);
// The same of one value; what holds no floats stays as it is.
Value in_double(const Value& value);

}  // namespace treadle

// Quantization-aware training: gradients pass what QuantizeLinear and DequantizeLinear round.
#pragma once

#include "graph/graph.h"

namespace treadle {

// Where a DequantizeLinear gives back what a QuantizeLinear of the same scale has made of
// x, adds to its result a 0 whose gradient for x is 1 where x lies within the range and 0 beyond,
// and for the scale -x/scale within: results stay the same bit for bit. What has blocks of scales,
// other types or no known rank stays as it is, with a gradient of zero.
void pass_gradients_straight(Graph& graph);

}  // namespace treadle

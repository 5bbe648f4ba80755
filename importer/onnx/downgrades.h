// Rewrites nodes so that they are legal at an older opset, by a table of {operator, opset, step}.
#pragma once

#include "graph/graph.h"

namespace treadle::onnx {

// Applies the steps for `opset` to a node that is not legal there. What is illegal afterwards
// cannot be said at that opset.
void downgrade(Graph& graph, NodeId id, int64_t opset);

}  // namespace treadle::onnx

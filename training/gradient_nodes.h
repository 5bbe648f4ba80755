// ai.onnx.preview.training.Gradient: a node that names the values of its own graph.
#pragma once

#include <memory>

#include "graph/graph.h"

namespace treadle {

class AddedOps;

// Replaces each such node of the graph by the gradient that it stands for; to be called on a graph
// as loaded, since it goes by names. `operators` are those that it was loaded with. Errors: those
// of autodiff, with the node.
void expand_gradient_nodes(Graph& graph,
                           const std::shared_ptr<const AddedOps>& operators = nullptr);

}  // namespace treadle

// The loss behind a model: one of losses.h, or one that a graph of its own computes.
#pragma once

#include <string>

#include "training/joint.h"

namespace treadle {

// Adds the loss as the graph's last output; the name of the input that is added for the target, or
// "". Errors as build_joint.
std::string put_loss(Graph& graph, const JointOptions& options);

}  // namespace treadle

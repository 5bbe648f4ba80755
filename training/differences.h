// Gradients of a model compared with central differences, in double on the reference kernels.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "training/autodiff.h"

namespace treadle {

struct GradientDifference {
  std::string wrt;
  double gradient = 0;    // along a random direction
  double difference = 0;  // the same by differences
  // |gradient - difference| over the larger one of both, or of the magnitude of what was summed.
  double relative = 0;
};

// One for each `wrt`. `inputs` follow graph.inputs() (empty: its default), then the seeds that the
// request adds. Errors: those of autodiff, and of a run.
std::vector<GradientDifference> compare_with_differences(const Graph& graph,
                                                         const GradientRequest& request,
                                                         std::span<const Value> inputs,
                                                         uint64_t seed = 0);

}  // namespace treadle

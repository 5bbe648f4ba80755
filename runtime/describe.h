// What steps and nodes are, as text and counts: for profile and inspect.
#pragma once

#include <vector>

#include "backends/backend.h"
#include "runtime/runtime.h"

namespace treadle {

// A node at concrete shapes; the kernel is left to the caller.
StepInfo describe_step(const NodeSpec& spec);
// A node that is run by itself because its shapes depend on data.
StepInfo describe_dynamic(const Node& node);
// What a plan for these inputs leaves to the run: nodes behind data-dependent ones, and those in
// bodies, each once. Shapes and counts as far as they follow from the inputs.
std::vector<StepInfo> describe_late(const Graph& graph, const std::vector<Known>& inputs);

// a + b and a·b of counts, at most INT64_MAX: they are shown, not computed with.
int64_t capped_add(int64_t a, int64_t b);
int64_t capped_mul(int64_t a, int64_t b);

}  // namespace treadle

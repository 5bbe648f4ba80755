// Memory for time: values that are made again where they are read next, instead of being kept from
// the forward to the backward pass.
#pragma once

#include "runtime/planner.h"

namespace treadle {

// Steps repeated for longer than all steps take together are no trade any more: nothing is given up
// from there on.
inline constexpr double kMostRepeated = 1;

// Repeats steps among the drafts, whose gatherings are resolved, so that what lives at once takes
// at most `bytes` if that can be had. The results are the same bit for bit. Yields the estimated
// time of the repeated steps as a share of that of all others.
double rematerialize(Drafts& drafts, const Graph& graph, size_t bytes);

}  // namespace treadle

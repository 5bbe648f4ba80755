// Where numbers that are not finite come from.
#pragma once

#include <span>
#include <string>

#include "runtime/runtime.h"

namespace treadle {

// Runs the graph, unoptimized and without its states, and tells of the first input, or else the
// first node in topological order whose output is not finite: "'y' of node 'log' (Log) holds nan at
// element 3 of [8]". "" where all are. `inputs` follow the graph's.
std::string first_not_finite(const Graph& graph, std::span<const Value* const> inputs, int threads);

}  // namespace treadle

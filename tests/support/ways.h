// All ways in which a graph can be run but the reference.
#pragma once

#include <vector>

#include "graph/graph.h"
#include "tests/support/tensors.h"

namespace treadle::test {

// Expects `want` (what the reference gives) of the runtime on the CPU, with the optimizer off and
// on, and of the graph saved and loaded again. Every way that differs is reported.
void expect_same_everywhere(const Graph& graph, const std::vector<Value>& inputs,
                            const std::vector<Value>& want, const Tolerance& tolerance = {});

void expect_same(const std::vector<Value>& got, const std::vector<Value>& want,
                 const Tolerance& tolerance, const std::string& what);

}  // namespace treadle::test

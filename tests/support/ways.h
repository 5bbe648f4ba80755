// All ways in which a graph can be run but the reference.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "graph/graph.h"
#include "tests/support/tensors.h"

namespace treadle::test {

// Expects `want` (what the reference gives) of the runtime on the CPU, with the optimizer off and
// on, and of the graph saved and loaded again. Every way that differs is reported.
void expect_same_everywhere(const Graph& graph, const std::vector<Value>& inputs,
                            const std::vector<Value>& want, const Tolerance& tolerance = {});

// Expects the runtime, with the optimizer off and on, to end with an error that holds `text` and is
// not kInternal.
void expect_error_everywhere(const Graph& graph, const std::vector<Value>& inputs,
                             const std::string& text);
void expect_error(const std::string& text, const std::string& what,
                  const std::function<void()>& run);

void expect_same(const std::vector<Value>& got, const std::vector<Value>& want,
                 const Tolerance& tolerance, const std::string& what);

}  // namespace treadle::test

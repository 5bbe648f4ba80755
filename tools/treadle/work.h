// The arithmetic of a graph at given input shapes, found by inference alone.
#pragma once

#include <cstdint>
#include <span>

#include "graph/graph.h"

namespace treadle::tool {

struct Work {
  int64_t multiply_adds = 0;  // a body counts once, of several the one with most; saturates
  int64_t unsized = 0;        // nodes whose shapes depend on data: not counted
};
Work work_of(const Graph& graph, std::span<const Type> inputs);

}  // namespace treadle::tool

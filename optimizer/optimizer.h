// The door of the optimizer: rewrites a graph into an equal, cheaper one.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "graph/graph.h"

namespace treadle {

struct OptimizeOptions {
  std::set<std::string> skip;  // names of passes
  int64_t stop_after = -1;     // rewrites in all, to bisect a wrong one; -1 = no bound
  // Bytes that folding one node may add over what it frees; unpacking a weight to 8 times its size
  // is always allowed.
  int64_t fold_growth = 4 << 20;
#ifdef NDEBUG
  bool verify = false;  // check every invariant after each pass
#else
  bool verify = true;
#endif
};

struct PassReport {
  std::string pass;
  double milliseconds = 0;
  int64_t fired = 0;
  std::vector<std::string> refused;  // "node 'conv3' (Conv): its output has two readers"
};
struct OptimizeReport {
  std::vector<PassReport> passes;
  size_t nodes_before = 0, nodes_after = 0;  // bodies included
};

// Names of the passes in their order.
std::vector<std::string> pass_names();
// kInvalidArgument for an unknown name in `skip`.
OptimizeReport optimize(Graph& graph, const OptimizeOptions& options = {});

}  // namespace treadle

// The graph of an operator case: its node, with the case's inputs.
#pragma once

#include <vector>

#include "tests/ops/runner.h"

namespace treadle::test {

Type type_of(const Value& v);

struct OneNode {
  Graph graph;
  std::vector<Value> inputs;
  NodeId node;
};

// Which inputs are constants of the graph. Integers (but the first) are axes, shapes and sizes, which
// rules and kernels want to know.
enum class Constants { kNone, kIntegers, kAllButFirst, kAll };

OneNode one_node(const OpCase& c, Constants constants);

}  // namespace treadle::test

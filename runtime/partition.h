// Which nodes of a graph have shapes that follow from its inputs' shapes, and
// which must wait for data.
#pragma once

#include <vector>

#include "graph/graph.h"
#include "graph/ops/op.h"

namespace treadle {

struct Partition {
  std::vector<Known> known;     // by value index
  std::vector<NodeId> fixed;    // concrete shapes, in order; those that nobody needs are left out
  std::vector<NodeId> dynamic;  // run on their own as soon as `fixed` is done
  std::vector<NodeId> rest;     // depend on `dynamic`
  std::vector<bool> late;       // by value index: known only after `dynamic` or `rest`
  std::vector<bool> loose;      // by value index: there from the start, but no
                                // tensor of fixed-size elements
};

// `inputs` are concrete. Errors as `infer`.
Partition partition(const Graph& graph, const std::vector<Known>& inputs);

// The nodes `rest` as a graph of their own; `inputs` gets the values of `graph`
// that its inputs stand for, `outputs` pairs of its outputs and the graph's.
Graph extract_rest(const Graph& graph, const Partition& parts, std::vector<ValueId>& inputs,
                   std::vector<std::pair<uint32_t, uint32_t>>& outputs);

}  // namespace treadle

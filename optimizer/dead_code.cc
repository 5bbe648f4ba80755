// Removes what no output needs: nodes, constants, and captures that a body does not read.
#include "optimizer/passes.h"

namespace treadle {
namespace {

void drop_captures(Pass& pass, NodeId id) {
  Graph& graph = pass.graph;
  for (size_t s = 0; s < graph.node(id).subgraphs.size(); ++s) {
    Graph& body = *graph.mutable_node(id).subgraphs[s].graph;
    for (size_t i = graph.node(id).subgraphs[s].captures.size(); i-- > 0;) {
      const size_t index = graph.node(id).subgraphs[s].formal_count() + i;
      const ValueId inner = body.inputs()[index];
      if (!body.value(inner).users.empty() || body.is_output(inner)) continue;
      graph.remove_capture(id, s, i);
      body.remove_input(index);
    }
  }
}

}  // namespace

void dead_code(Pass& pass) {
  if (pass.stopped()) return;
  for (NodeId id : pass.graph.topological_order()) drop_captures(pass, id);
  pass.count(static_cast<int64_t>(pass.graph.remove_dead()));
}

}  // namespace treadle

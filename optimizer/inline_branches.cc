// Replaces an If whose condition is a constant by the branch that it takes, and gives bodies the
// constants that they capture.
#include "graph/builder.h"
#include "optimizer/passes.h"

namespace treadle {
namespace {

// Captured constants become constants of the body.
void sink_constants(Pass& pass, NodeId id) {
  for (const Subgraph& s : pass.graph.node(id).subgraphs) {
    Graph& body = *s.graph;
    for (size_t i = 0; i < s.captures.size(); ++i) {
      const Tensor* t = pass.constant(s.captures[i]);
      const ValueId inner = body.inputs()[s.formal_count() + i];
      if (t == nullptr || (body.value(inner).users.empty() && !body.is_output(inner))) continue;
      body.replace_uses(inner, body.add_constant(body.value(inner).name, *t));
    }
  }
}

// The branch that is taken; null when that is not known.
const Subgraph* taken(const Pass& pass, const Node& node) {
  const Tensor* condition = pass.constant(node.input(0));
  if (!node.is("If") || condition == nullptr || condition->dtype() != DType::kBool ||
      condition->count() != 1) {
    return nullptr;
  }
  const bool then = condition->data<bool>()[0];
  for (const Subgraph& s : node.subgraphs) {
    if (s.attribute == (then ? "then_branch" : "else_branch")) return &s;
  }
  return nullptr;
}

bool inline_branch(Pass& pass, NodeId id, const Subgraph& branch) {
  const Subgraph body = branch;
  const std::vector<ValueId> outputs = pass.graph.node(id).outputs;
  const std::vector<ValueId> results = inline_graph(pass.graph, *body.graph, body.captures);
  Patch patch;
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (outputs[i].valid()) patch.replace(outputs[i], results[i]);
  }
  return pass.apply(id, std::move(patch));
}

// Branches may hold further ones: again until none is taken.
bool round(Pass& pass) {
  bool changed = false;
  for (NodeId id : pass.graph.topological_order()) {
    if (pass.stopped()) return false;
    if (const Subgraph* branch = taken(pass, pass.graph.node(id))) {
      changed = inline_branch(pass, id, *branch) || changed;
    } else {
      sink_constants(pass, id);
    }
  }
  return changed;
}

}  // namespace

void inline_branches(Pass& pass) {
  bool inlined = false;
  while (round(pass)) inlined = true;
  if (inlined) fold_constants(pass);
}

}  // namespace treadle

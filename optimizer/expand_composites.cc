// Replaces operators that have no kernel anywhere, only a graph of simpler ones that they equal, by
// that graph: the passes and the backends know its nodes.
#include <set>

#include "graph/builder.h"
#include "optimizer/passes.h"

namespace treadle {
namespace {

bool is_composite(const Op& op) {
  return op.eval == nullptr && op.decompose != nullptr && op.domain != "treadle";
}

// False when it must stay: its graph follows from shapes that only the run knows.
bool expand_node(Pass& pass, NodeId id) {
  const Node node = pass.graph.node(id);
  std::vector<std::string> origins = node.origins;
  if (origins.empty()) origins.push_back(node.name);
  Builder builder(pass.graph, node.name + "/", origins);
  std::vector<ValueId> results;
  try {
    results = node.op->decompose(builder, node);
  } catch (const Error& e) {
    pass.refuse(id, e.what());
    return false;
  }
  Patch patch;
  for (size_t i = 0; i < node.outputs.size() && i < results.size(); ++i) {
    if (node.outputs[i].valid()) patch.replace(node.outputs[i], results[i]);
  }
  return pass.apply(id, std::move(patch));
}

}  // namespace

void expand_composites(Pass& pass) {
  std::set<uint32_t> refused;
  // What a composite becomes may hold further ones.
  for (bool changed = true; changed;) {
    changed = false;
    for (NodeId id : pass.graph.topological_order()) {
      if (pass.stopped()) return;
      if (!pass.graph.alive(id) || !is_composite(*pass.graph.node(id).op)) continue;
      if (refused.contains(id.index)) continue;
      if (expand_node(pass, id))
        changed = true;
      else
        refused.insert(id.index);
    }
  }
  pass.graph.remove_dead();
}

}  // namespace treadle

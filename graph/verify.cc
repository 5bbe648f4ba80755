// Every invariant of a Graph, one function each.
#include <algorithm>
#include <unordered_map>

#include "graph/graph.h"
#include "graph/ops/op.h"

namespace treadle {
namespace {

void verify_edges(const Graph& g, NodeId id) {
  const Node& n = g.node(id);
  for_each_use(n, [&](ValueId v) {
    TREADLE_CHECK(v.index < g.value_count(), kInternal, describe(n),
                  " reads a value that does not exist");
    const ValueDef& def = g.value(v);
    const bool is_input = std::find(g.inputs().begin(), g.inputs().end(), v) != g.inputs().end();
    TREADLE_CHECK(def.producer.valid() || def.is_constant() || is_input, kInvalidModel, describe(n),
                  " reads '", def.name, "', which nothing produces");
    TREADLE_CHECK(std::find(def.users.begin(), def.users.end(), id) != def.users.end(), kInternal,
                  describe(n), " is missing among the users of '", def.name, "'");
  });
  for (ValueId v : n.outputs) {
    TREADLE_CHECK(!v.valid() || g.value(v).producer == id, kInternal, describe(n),
                  " does not own its output");
  }
}

void verify_subgraphs(const Graph& g, const Node& n) {
  for (const Subgraph& s : n.subgraphs) {
    TREADLE_CHECK(s.graph && s.graph->inputs().size() >= s.captures.size(), kInternal, describe(n),
                  ": subgraph '", s.attribute, "' has fewer inputs than captures");
    verify(*s.graph);
  }
  (void)g;
}

void verify_names(const Graph& g) {
  std::unordered_map<std::string, ValueId> seen;  // a value may be listed twice
  for (const GraphOutput& o : g.outputs()) {
    TREADLE_CHECK(o.value.valid() && o.value.index < g.value_count(), kInternal, "output '", o.name,
                  "' has no value");
    TREADLE_CHECK(seen.emplace(o.name, o.value).first->second == o.value, kInvalidModel,
                  "two outputs are named '", o.name, "'");
  }
}

}  // namespace

void verify(const Graph& g) {
  verify_names(g);
  for (NodeId id : g.topological_order()) {
    verify_edges(g, id);
    check_against_row(g.node(id));
    verify_subgraphs(g, g.node(id));
  }
}

}  // namespace treadle

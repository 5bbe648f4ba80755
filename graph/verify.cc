// Every invariant of a Graph, one function each.
#include <algorithm>
#include <unordered_map>

#include "graph/graph.h"
#include "graph/ops/op.h"

namespace treadle {
namespace {

// By value, so that each use is found at once: files may list 100,000 readers of one value.
struct Index {
  std::vector<bool> is_input;
  std::vector<std::vector<NodeId>> users;  // sorted

  explicit Index(const Graph& g) : is_input(g.value_count()), users(g.value_count()) {
    for (ValueId v : g.inputs()) is_input[v.index] = true;
    for (uint32_t i = 0; i < g.value_count(); ++i) {
      users[i] = g.value(ValueId{i}).users;
      std::sort(users[i].begin(), users[i].end());
    }
  }
};

void verify_edges(const Graph& g, const Index& index, NodeId id) {
  const Node& n = g.node(id);
  for_each_use(n, [&](ValueId v) {
    TREADLE_CHECK(v.index < g.value_count(), kInternal, describe(n),
                  " reads a value that does not exist");
    const ValueDef& def = g.value(v);
    TREADLE_CHECK(def.producer.valid() || def.is_constant() || index.is_input[v.index],
                  kInvalidModel, describe(n), " reads '", def.name, "', which nothing produces");
    const std::vector<NodeId>& users = index.users[v.index];
    TREADLE_CHECK(std::binary_search(users.begin(), users.end(), id), kInternal, describe(n),
                  " is missing among the users of '", def.name, "'");
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
  const Index index(g);
  for (NodeId id : g.topological_order()) {
    verify_edges(g, index, id);
    check_against_row(g.node(id));
    verify_subgraphs(g, g.node(id));
  }
}

}  // namespace treadle

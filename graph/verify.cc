// Every invariant of a Graph, one function each.
#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "graph/graph.h"
#include "graph/ops/op.h"

namespace treadle {
namespace {

std::vector<bool> inputs_of(const Graph& g) {
  std::vector<bool> is_input(g.value_count());
  for (ValueId v : g.inputs()) is_input[v.index] = true;
  return is_input;
}

void verify_edges(const Graph& g, const std::vector<bool>& is_input, NodeId id) {
  const Node& n = g.node(id);
  for_each_use(n, [&](ValueId v) {
    TREADLE_CHECK(v.index < g.value_count(), kInternal, describe(n),
                  " reads a value that does not exist");
    const ValueDef& def = g.value(v);
    TREADLE_CHECK(def.producer.valid() || def.is_constant() || is_input[v.index], kInvalidModel,
                  describe(n), " reads '", def.name, "', which nothing produces");
  });
  for (ValueId v : n.outputs) {
    TREADLE_CHECK(!v.valid() || g.value(v).producer == id, kInternal, describe(n),
                  " does not own its output");
  }
}

// Each value lists its readers, one entry a use.
void verify_users(const Graph& g, const std::vector<NodeId>& order) {
  std::vector<std::vector<NodeId>> readers(g.value_count());
  for (NodeId id : order) {
    for_each_use(g.node(id), [&](ValueId v) { readers[v.index].push_back(id); });
  }
  for (uint32_t i = 0; i < g.value_count(); ++i) {
    std::vector<NodeId> users = g.value(ValueId{i}).users;
    std::sort(users.begin(), users.end());
    std::sort(readers[i].begin(), readers[i].end());
    TREADLE_CHECK(users == readers[i], kInternal, "the users of '", g.value(ValueId{i}).name,
                  "' are not the nodes that read it");
  }
}

void verify_subgraphs(const Node& n) {
  for (const Subgraph& s : n.subgraphs) {
    TREADLE_CHECK(s.graph && s.graph->inputs().size() >= s.captures.size(), kInternal, describe(n),
                  ": subgraph '", s.attribute, "' has fewer inputs than captures");
    verify(*s.graph);
  }
}

void verify_names(const Graph& g, const std::vector<bool>& is_input) {
  std::unordered_set<std::string> values;
  for (uint32_t i = 0; i < g.value_count(); ++i) {
    const ValueDef& def = g.value(ValueId{i});
    if (!def.producer.valid() && !def.is_constant() && !is_input[i]) continue;  // removed
    TREADLE_CHECK(values.insert(def.name).second, kInternal, "two values are named '", def.name,
                  "'");
  }
  std::unordered_map<std::string, ValueId> seen;  // a value may be listed twice
  for (const GraphOutput& o : g.outputs()) {
    TREADLE_CHECK(o.value.valid() && o.value.index < g.value_count(), kInternal, "output '", o.name,
                  "' has no value");
    TREADLE_CHECK(seen.emplace(o.name, o.value).first->second == o.value, kInvalidModel,
                  "two outputs are named '", o.name, "'");
  }
}

void verify_states(const Graph& g) {
  std::unordered_set<std::string_view> replaced;
  for (const State& state : g.states) {
    const ValueId input = g.find_value(state.input);
    TREADLE_CHECK(std::ranges::find(g.inputs(), input) != g.inputs().end(), kInvalidModel,
                  "state '", state.input, "' is no input");
    const auto output = std::ranges::find(g.outputs(), state.output, &GraphOutput::name);
    TREADLE_CHECK(output != g.outputs().end(), kInvalidModel, "state '", state.input,
                  "' is to become output '", state.output, "', which does not exist");
    const Type& old = g.value(input).type;
    const Type& fresh = g.value(output->value).type;
    TREADLE_CHECK(old.is_tensor() && fresh.is_tensor() && old.dtype == fresh.dtype, kInvalidModel,
                  "state '", state.input, "' is ", old.text(), " and would become ", fresh.text());
    TREADLE_CHECK(replaced.insert(state.input).second, kInvalidModel, "state '", state.input,
                  "' is replaced twice");
  }
}

}  // namespace

void verify(const Graph& g) {
  const std::vector<bool> is_input = inputs_of(g);
  const std::vector<NodeId> order = g.topological_order();
  verify_names(g, is_input);
  verify_states(g);
  for (NodeId id : order) {
    verify_edges(g, is_input, id);
    check_against_row(g.node(id));
    verify_subgraphs(g.node(id));
  }
  verify_users(g, order);
}

}  // namespace treadle

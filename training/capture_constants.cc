#include "training/capture_constants.h"

#include <map>
#include <optional>

namespace treadle {

namespace {

// Values of a graph by the bytes that they stand for.
using Bytes = std::pair<const void*, size_t>;
using ByBytes = std::map<Bytes, ValueId>;

std::optional<Bytes> bytes_of(const ValueDef& def) {
  const bool smooth = def.is_constant() && is_float(def.constant.dtype());
  if (!smooth || def.constant.count() == 0) return std::nullopt;
  return def.constant.identity();
}

ByBytes constants_of(const Graph& graph) {
  ByBytes found;
  for (uint32_t i = 0; i < graph.value_count(); ++i) {
    const auto bytes = bytes_of(graph.value(ValueId{i}));
    if (bytes) found.emplace(*bytes, ValueId{i});
  }
  return found;
}

// Of the graph and of its bodies.
void collect_bytes(const Graph& graph, std::map<Bytes, std::string>& names) {
  for (const auto& [bytes, v] : constants_of(graph)) names.emplace(bytes, graph.value(v).name);
  for (NodeId id : graph.topological_order()) {
    for (const Subgraph& s : graph.node(id).subgraphs) collect_bytes(*s.graph, names);
  }
}

void capture_constants(Graph& graph, const ByBytes& known);

void capture_into(Graph& graph, NodeId id, size_t k, const ByBytes& known) {
  Graph& body = *graph.mutable_node(id).subgraphs[k].graph;
  const ByBytes own = constants_of(body);
  std::map<Bytes, std::string> used;
  collect_bytes(body, used);
  ByBytes inner;
  for (const auto& [bytes, name] : used) {
    const auto outer = known.find(bytes);
    if (outer == known.end()) continue;
    const ValueId input = body.add_input(name, graph.value(outer->second).type);
    inner[bytes] = input;
    if (const auto it = own.find(bytes); it != own.end()) {
      body.replace_uses(it->second, input);
      body.remove_constant(it->second);
    }
    graph.mutable_node(id).subgraphs[k].captures.push_back(outer->second);
    graph.value(outer->second).users.push_back(id);
  }
  capture_constants(body, inner);
}

void capture_constants(Graph& graph, const ByBytes& known) {
  for (NodeId id : graph.topological_order()) {
    for (size_t k = 0; k < graph.node(id).subgraphs.size(); ++k) capture_into(graph, id, k, known);
  }
}

}  // namespace

void capture_constants(Graph& graph) { capture_constants(graph, constants_of(graph)); }

}  // namespace treadle

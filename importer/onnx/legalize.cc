#include "importer/onnx/legalize.h"

#include <algorithm>
#include <functional>
#include <vector>

#include "graph/builder.h"
#include "importer/onnx/downgrades.h"
#include "importer/onnx/history.h"

namespace treadle::onnx {
namespace {

struct Place {
  Graph* graph;
  NodeId id;
  const Node& node() const { return graph->node(id); }
};

// Every node of the graph and of the bodies in it.
std::vector<Place> all_nodes(Graph& graph) {
  std::vector<Place> places;
  std::vector<Graph*> graphs = {&graph};
  while (!graphs.empty()) {
    Graph& g = *graphs.back();
    graphs.pop_back();
    for (NodeId id : g.topological_order()) {
      places.push_back({&g, id});
      for (const Subgraph& s : g.node(id).subgraphs) graphs.push_back(s.graph.get());
    }
  }
  return places;
}

constexpr int kMaxRounds = 16;  // of decompositions within decompositions

// Expands the nodes that `wanted` names until there are none.
void expand_where(Graph& graph, const std::function<bool(const Place&)>& wanted) {
  for (int round = 0; round < kMaxRounds; ++round) {
    bool changed = false;
    // Bodies first: expanding a node ends the graphs of its bodies.
    std::vector<Place> places = all_nodes(graph);
    std::ranges::reverse(places);
    for (const Place& p : places) {
      if (p.node().op->decompose != nullptr && wanted(p))
        changed = expand(*p.graph, p.id) || changed;
    }
    if (!changed) return;
  }
}

int64_t newest(const std::string& domain) {
  return domain.empty() ? kOpset : domain == "ai.onnx.ml" ? 5 : 1;
}
int64_t oldest(const std::string& domain) { return domain.empty() ? kOldestOpset : 1; }

bool is_legal(const Place& p, int64_t opset) {
  return why_illegal(*p.graph, p.node(), opset).empty();
}

// The lowest opset at which all nodes of the domain are legal; 0 when there is none.
int64_t lowest_opset(const std::vector<Place>& nodes, const std::string& domain) {
  for (int64_t opset = oldest(domain); opset <= newest(domain); ++opset) {
    const bool good = std::ranges::all_of(
        nodes, [&](const Place& p) { return p.node().op->domain != domain || is_legal(p, opset); });
    if (good) return opset;
  }
  return 0;
}

[[noreturn]] void report(const std::vector<Place>& nodes, const std::string& domain,
                         int64_t opset) {
  std::string text =
      cat("cannot be written at opset ", opset, domain.empty() ? "" : " of " + domain, ": ");
  bool first = true;
  for (const Place& p : nodes) {
    if (p.node().op->domain != domain) continue;
    const std::string why = why_illegal(*p.graph, p.node(), opset);
    if (why.empty()) continue;
    text += cat(first ? "" : "; ", describe(p.node()), " ", why);
    first = false;
  }
  fail(Code::kUnsupported, text);
}

// Lowers what is not legal at `opset`: by the table, else by what the operator decomposes into.
void lower(Graph& graph, int64_t opset) {
  for (int round = 0; round < 2; ++round) {
    for (const Place& p : all_nodes(graph)) {
      if (!is_legal(p, opset)) downgrade(*p.graph, p.id, opset);
    }
    expand_where(
        graph, [&](const Place& p) { return p.node().op->domain.empty() && !is_legal(p, opset); });
  }
}

void check_private(const std::vector<Place>& nodes) {
  std::string text;
  for (const Place& p : nodes) {
    if (p.node().op->domain == "treadle") text += cat(text.empty() ? "" : "; ", describe(p.node()));
  }
  TREADLE_CHECK(text.empty(), kUnsupported, "no standard operators are known for: ", text);
}

}  // namespace

std::map<std::string, int64_t> legalize(Graph& graph, const SaveOptions& options) {
  TREADLE_CHECK(options.opset == 0 || (options.opset >= kOldestOpset && options.opset <= kOpset),
                kInvalidArgument, "opset ", options.opset, " cannot be written, expected ",
                kOldestOpset, " to ", kOpset);
  expand_where(graph, [](const Place& p) { return p.node().op->domain == "treadle"; });
  check_private(all_nodes(graph));
  const int64_t limit = options.opset == 0 ? kOpset : options.opset;
  int64_t opset = lowest_opset(all_nodes(graph), "");
  if (opset == 0 || opset > limit) {
    lower(graph, limit);
    opset = lowest_opset(all_nodes(graph), "");
  }
  const std::vector<Place> nodes = all_nodes(graph);
  if (opset == 0 || opset > limit) report(nodes, "", limit);
  std::map<std::string, int64_t> imports = {{"", opset}};
  for (const Place& p : nodes) {
    const std::string& domain = p.node().op->domain;
    if (domain.empty() || imports.contains(domain)) continue;
    imports[domain] = lowest_opset(nodes, domain);
    if (imports[domain] == 0) report(nodes, domain, newest(domain));
  }
  return imports;
}

}  // namespace treadle::onnx

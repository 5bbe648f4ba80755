#include "tools/treadle/contents.h"

#include <cstdio>

#include "graph/ops/op.h"
#include "tools/treadle/values.h"

namespace treadle::tool {
namespace {

constexpr size_t kTextShown = 200;  // of an attribute, in the table

template <class F>
void each_graph(const Graph& graph, F&& f) {
  f(graph);
  for (NodeId id : graph.topological_order()) {
    for (const Subgraph& s : graph.node(id).subgraphs) each_graph(*s.graph, f);
  }
}

template <class F>
void each_weight(const Graph& graph, F&& f) {
  each_graph(graph, [&](const Graph& g) {
    for (uint32_t i = 0; i < g.value_count(); ++i) {
      const ValueDef& def = g.value(ValueId{i});
      if (def.is_constant()) f(def.name, def.constant);
    }
  });
}

template <class F>
void each_attributed(const Graph& graph, F&& f) {
  each_graph(graph, [&](const Graph& g) {
    for (NodeId id : g.topological_order()) {
      if (g.node(id).attributes.size() > 0) f(g.node(id));
    }
  });
}

std::string shortened(std::string text) {
  if (text.size() > kTextShown) text = text.substr(0, kTextShown) + "...";
  return printable(text);
}

// As JSON has it; tensors and types as text.
template <class T>
Json attribute_json(const T& value) {
  if constexpr (std::is_same_v<T, Tensor> || std::is_same_v<T, std::vector<Tensor>> ||
                std::is_same_v<T, Type>) {
    return attribute_text(value);
  } else {
    return value;
  }
}

}  // namespace

std::map<std::string, std::string> metadata_of(const Graph& graph) {
  std::map<std::string, std::string> metadata = graph.metadata;
  if (!graph.name.empty()) metadata["graph_name"] = graph.name;
  if (!graph.doc.empty()) metadata["description"] = graph.doc;
  return metadata;
}

void print_metadata(const Graph& graph) {
  for (const auto& [key, value] : metadata_of(graph))
    std::printf("%-18s %s\n", printable(key).c_str(), printable(value).c_str());
}

void print_weights(const Graph& graph) {
  each_weight(graph, [](const std::string& name, const Tensor& t) {
    std::printf("%10.3f MB  %s  %s\n", static_cast<double>(t.bytes()) / 1e6,
                printable(name).c_str(), printable(summary(Value(t))).c_str());
  });
}

Json weights_json(const Graph& graph) {
  Json list = Json::array();
  each_weight(graph, [&](const std::string& name, const Tensor& t) {
    Json json = value_json(name, Value(t));
    json.erase("values");
    json["bytes"] = t.bytes();
    list.push_back(std::move(json));
  });
  return list;
}

void print_attributes(const Graph& graph) {
  each_attributed(graph, [](const Node& node) {
    std::printf("%s\n", printable(describe(node)).c_str());
    for (const auto& [name, value] : node.attributes)
      std::printf("    %s = %s\n", printable(name).c_str(),
                  shortened(attribute_text(value)).c_str());
  });
}

Json attributes_json(const Graph& graph) {
  Json list = Json::array();
  each_attributed(graph, [&](const Node& node) {
    Json attributes = Json::object();
    for (const auto& [name, value] : node.attributes)
      attributes[name] = std::visit([](const auto& v) { return attribute_json(v); }, value);
    list.push_back({{"node", node.name}, {"op", node.op->full_name()}, {"attributes", attributes}});
  });
  return list;
}

}  // namespace treadle::tool

#include "tools/treadle/dot.h"

#include "graph/ops/op.h"

namespace treadle::tool {
namespace {

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (unsigned char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c < 0x20 || c == 0x7f ? ' ' : static_cast<char>(c);
  }
  return out + "\"";
}

// Two lines.
std::string label(const std::string& first, const std::string& second) {
  std::string text = quoted(first);
  text.pop_back();
  return text + "\\n" + quoted(second).substr(1);
}

}  // namespace

std::string dot_text(const Graph& graph) {
  std::string dot =
      "digraph model {\n  node [shape=box, fontname=\"sans-serif\"];\n"
      "  edge [fontname=\"sans-serif\", fontsize=9];\n";
  for (ValueId v : graph.inputs()) {
    dot += cat("  v", v.index,
               " [shape=ellipse, label=", label(graph.value(v).name, graph.value(v).type.text()),
               "];\n");
  }
  const auto edge = [&](ValueId v, const std::string& to) {
    const ValueDef& def = graph.value(v);
    if (def.is_constant()) return;
    const std::string from =
        def.producer.valid() ? cat("n", def.producer.index) : cat("v", v.index);
    dot += cat("  ", from, " -> ", to, " [label=", quoted(def.type.text()), "];\n");
  };
  for (NodeId id : graph.topological_order()) {
    const Node& node = graph.node(id);
    dot += cat("  n", id.index, " [label=", label(node.op->full_name(), node.name), "];\n");
    for_each_use(node, [&](ValueId v) { edge(v, cat("n", id.index)); });
  }
  for (size_t i = 0; i < graph.outputs().size(); ++i) {
    dot += cat("  o", i, " [shape=ellipse, label=", quoted(graph.outputs()[i].name), "];\n");
    edge(graph.outputs()[i].value, cat("o", i));
  }
  return dot + "}\n";
}

}  // namespace treadle::tool

#include "importer/onnx/text.h"

#include <algorithm>
#include <cctype>

#include "graph/ops/op.h"
#include "graph/text_model.h"
#include "importer/importer.h"
#include "importer/onnx/history.h"
#include "importer/onnx/proto.h"

namespace treadle::onnx {
namespace {

using Opsets = std::map<std::string, int64_t, std::less<>>;

std::string_view skip_spaces(std::string_view text) {
  while (!text.empty() && (std::isspace(static_cast<unsigned char>(text[0])) != 0))
    text.remove_prefix(1);
  return text;
}

void check_meaning(const Graph& graph, const Opsets& opsets) {
  for (const NodeId id : graph.topological_order()) {
    const Node& node = graph.node(id);
    const auto stated = opsets.find(node.op->domain);
    const std::string why = stated == opsets.end() ? "" : why_illegal(graph, node, stated->second);
    TREADLE_CHECK(why.empty(), kUnsupported, "node '", node.name, "' (", node.op->full_name(),
                  ") at opset ", stated->second, " ", why, ": write the text for opset ", kOpset,
                  ", or make it a binary file by onnx.parser");
    for (const Subgraph& s : node.subgraphs) check_meaning(*s.graph, opsets);
  }
}

}  // namespace

bool is_text(const Bytes& bytes) {
  std::string head(static_cast<size_t>(std::min<int64_t>(bytes.size(), 256)), '\0');
  bytes.read(0, std::as_writable_bytes(std::span(head)));
  std::string_view text = skip_spaces(head);
  if (!text.starts_with('<')) return false;
  text = skip_spaces(text.substr(1));
  return text.starts_with("ir_version") || text.starts_with("opset_import");
}

std::string model_of_text(const Bytes& bytes) {
  std::string text(static_cast<size_t>(bytes.size()), '\0');
  bytes.read(0, std::as_writable_bytes(std::span(text)));
  const TextModel model = parse_model(text);
  check_meaning(model.graph, model.opsets);
  pb::ModelProto proto;
  TREADLE_CHECK(proto.ParseFromString(save_bytes(model.graph)), kInternal, "a text was lost");
  for (auto& import : *proto.mutable_opset_import()) {
    const auto stated = model.opsets.find(import.domain());
    if (stated != model.opsets.end())
      import.set_version(std::max(stated->second, import.version()));
  }
  return proto.SerializeAsString();
}

}  // namespace treadle::onnx

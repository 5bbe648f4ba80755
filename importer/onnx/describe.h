// How messages name a node of a file.
#pragma once

#include <string>

#include "graph/base/error.h"
#include "importer/onnx/opsets.h"

namespace treadle::onnx {

inline std::string full_kind(const pb::NodeProto& node) {
  const std::string domain = domain_of(node.domain());
  return cat(domain, domain.empty() ? "" : ".", node.op_type());
}

// "node 'n1' (Conv)"; without a name "node #12 (Conv, output 'y')", counted from 0 in its list.
inline std::string describe(const pb::NodeProto& node, int index) {
  if (!node.name().empty()) return cat("node '", node.name(), "' (", full_kind(node), ")");
  const std::string output =
      node.output_size() != 0 ? cat(", output '", node.output(0), "'") : std::string();
  return cat("node #", index, " (", full_kind(node), output, ")");
}

}  // namespace treadle::onnx

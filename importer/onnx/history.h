// What each version of each ONNX operator accepts: which opsets a node as written is legal at.
#pragma once

#include <string>

#include "graph/graph.h"

namespace treadle::onnx {

// The oldest ai.onnx opset that is written.
inline constexpr int64_t kOldestOpset = 7;

// Why the node, as written, is not legal at this opset of its domain; empty when it is. Attributes
// at the row's default count as not written. Operators that ONNX does not define are legal.
std::string why_illegal(const Graph& graph, const Node& node, int64_t opset);
// Whether an attribute has the value that leaving it out means.
bool is_default(const Node& node, std::string_view name, const Attribute& value);
// Whether the operator's version at this opset has the attribute (true for operators of others).
bool has_attribute(const Node& node, std::string_view name, int64_t opset);
// The IR version that came with an opset of a domain; 0 for other domains.
int64_t ir_version_of(std::string_view domain, int64_t opset);

}  // namespace treadle::onnx

// A model's functions: how large they become, and what a call of one means where it stands.
#pragma once

#include "importer/importer.h"
#include "importer/onnx/frame.h"

namespace treadle::onnx {

// Bodies are read by recursion, so a caller's max_depth is bounded by the stack.
inline constexpr int64_t kDeepest = 256;

// Counts the nodes that each function becomes when it is inlined, before that is done. kLimit
// naming the function that exceeds max_nodes or max_depth, kInvalidModel for one that calls itself.
void check_expansion(const pb::GraphProto& graph, const Functions& functions,
                     const LoadLimits& limits);

// The nodes of one call: its scope holds the function's inputs, its attributes are the call's or
// the function's defaults. `name` is the call's own, unique name.
Frame call_frame(const pb::FunctionProto& function, const pb::NodeProto& call, const Frame& caller,
                 const std::string& name);

// The value that a node's input names in `scope`; kInvalidModel when nothing has the name.
ValueId input_value(const std::string& name, Scope& scope);

}  // namespace treadle::onnx

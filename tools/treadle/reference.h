// onnxruntime, through Python, as a second opinion.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "runtime/runtime.h"

namespace treadle::tool {

// Outputs by name (tensors only) of an ONNX file on the inputs of `model`. The interpreter is
// $TREADLE_PYTHON, default python3; kDevice naming it where it lacks onnxruntime or NumPy,
// kInvalidArgument with onnxruntime's message where it refuses the model or its input.
std::vector<NamedValue> run_onnxruntime(const std::string& path, const Model& model,
                                        std::span<const Value> inputs);
// The same for a graph in memory.
std::vector<NamedValue> run_onnxruntime(const Graph& graph, const Model& model,
                                        std::span<const Value> inputs);

}  // namespace treadle::tool

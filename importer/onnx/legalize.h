// Makes a graph legal ONNX of one opset: private operators expanded, opset chosen, nodes lowered.
#pragma once

#include <map>
#include <string>

#include "graph/graph.h"
#include "importer/importer.h"

namespace treadle::onnx {

// The versions to import of each domain that the graph uses. kUnsupported naming every node that
// cannot be expressed.
std::map<std::string, int64_t> legalize(Graph& graph, const SaveOptions& options);

}  // namespace treadle::onnx

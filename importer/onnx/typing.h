// Adds a node that was read, with the types that follow from its inputs.
#pragma once

#include "importer/onnx/scope.h"

namespace treadle::onnx {

// The node's outputs are fresh values of build.graph. kInvalidModel, kUnsupported, naming the node,
// where it cannot stand. `in_body`: a branch may be wrong for the shapes at hand, as it is the one
// that will not run (exporters write "if the axis is 1, squeeze it"); then only what follows from
// dtypes is told.
void add_typed(Node node, bool in_body, GraphBuild& build);

}  // namespace treadle::onnx

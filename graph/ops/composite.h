// For rows that are defined by their decomposition.
#pragma once

#include "graph/ops/op.h"

namespace treadle {

// The outputs' types are those of the decomposition.
void infer_composite(InferContext& c);
// Those of the attributes that the ai.onnx operator `kind` knows.
Attributes attributes_for(std::string_view kind, const Attributes& attributes);

}  // namespace treadle

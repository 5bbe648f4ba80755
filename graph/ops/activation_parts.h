// What the younger activations equal, for those who know older operators only. Halves are computed
// as floats, as the kernels do.
#pragma once

#include "graph/builder.h"

namespace treadle {

std::vector<ValueId> decompose_gelu(Builder& b, const Node& node);
std::vector<ValueId> decompose_swish(Builder& b, const Node& node);
std::vector<ValueId> decompose_hard_swish(Builder& b, const Node& node);
std::vector<ValueId> decompose_mish(Builder& b, const Node& node);

// Float for halves, else `dtype`.
DType compute_dtype(DType dtype);
// The value in `dtype`; itself when that is its type.
ValueId cast_to(Builder& b, ValueId x, DType dtype);

}  // namespace treadle

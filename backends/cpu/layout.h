// The CPU backend's layouts: sizes, adjacency and the reorder between them.
#pragma once

#include "backends/cpu/family.h"

namespace treadle::cpu {

size_t layout_bytes(const TensorSpec& spec);
// See Backend::adjacent_parts. Blocked: along the channels when they are multiples of 16 and the
// batch is 1.
std::vector<size_t> adjacent_parts(const TensorSpec& whole, const std::vector<TensorSpec>& parts,
                                   int64_t axis);
// "onednn reorder".
Compiled compile_reorder(const TensorSpec& from, const TensorSpec& to,
                         const CompileContext& context);

}  // namespace treadle::cpu

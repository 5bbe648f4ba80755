// The CPU backend's layouts: sizes, adjacency and what they are equal to.
#pragma once

#include "backends/cpu/family.h"

namespace treadle::cpu {

// kPlain where `layout` orders the elements of these dims as plain does, without padding; else
// `layout`.
Layout canonical(const Dims& dims, Layout layout);
// What to ask for an input that should come in `wanted`: the layout it has when the bytes are the
// same anyway.
Layout accept(const TensorSpec& spec, Layout wanted);

// Of a convolution whose first input and output are channels-last, the others plain, without its
// kernel; which inputs the kernel holds `packed`, and does not read.
Compiled channels_last_conv(const NodeSpec& spec, std::initializer_list<size_t> packed);

size_t layout_bytes(const TensorSpec& spec);
// See Backend::adjacent_parts. Blocked: along the channels when they are multiples of 16 and the
// batch is 1.
std::vector<size_t> adjacent_parts(const TensorSpec& whole, const std::vector<TensorSpec>& parts,
                                   int64_t axis);
// See Backend::same_bytes: a Transpose to or from channels that lie last.
std::optional<Backend::SameBytes> same_bytes(const NodeSpec& spec);

}  // namespace treadle::cpu

// How native kernels see a tensor in any layout: as dense dimensions in the order of memory.
#pragma once

#include "backends/cpu/family.h"

namespace treadle::cpu {

// Elements in the innermost channel block of a layout; 1 where channels are not blocked.
int64_t channel_block(Layout layout);

// The dimensions of a tensor in the order in which they lie in memory, padding included.
Dims physical_dims(const Dims& dims, Layout layout);
// Strides, by the physical dimensions of `target`, that read `source` (broadcast to target.dims)
// beside it: in the same layout, or plain. 0 where broadcast.
Dims physical_strides(const TensorSpec& source, const TensorSpec& target);

}  // namespace treadle::cpu

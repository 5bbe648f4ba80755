// Where the windows of a pool lie, for kernels that are particular about it.
#pragma once

#include "graph/ops/conv_params.h"

namespace treadle::cpu {

// Cells after the input that the windows of an axis reach.
int64_t pad_end(const PoolParams& p, size_t axis);
// Every window holds an element of the input.
bool windows_meet_input(const PoolParams& p);

}  // namespace treadle::cpu

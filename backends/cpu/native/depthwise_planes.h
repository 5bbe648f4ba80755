// Depthwise convolutions with stride 1 that other kernels are slow at: of one dimension, and those
// that make several channels of one. Planes lie as they are given.
#pragma once

#include "backends/cpu/family.h"
#include "graph/ops/conv_params.h"

namespace treadle::cpu {

// Of Conv: one dimension is a plane of one row.
ConvParams planes_of(const NodeSpec& spec);

extern const Family kDepthwisePlanes;

}  // namespace treadle::cpu

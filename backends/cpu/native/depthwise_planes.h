// Depthwise convolutions with stride 1 that other kernels are slow at: of one dimension, and those
// that make several channels of one. Planes lie as they are given.
#pragma once

#include "backends/cpu/family.h"

namespace treadle::cpu {

extern const Family kDepthwisePlanes;

}  // namespace treadle::cpu

// A convolution of single pixels and the depthwise one that reads it, row by row: what is between
// them stays in the cache.
#pragma once

#include "backends/cpu/family.h"

namespace treadle::cpu {

extern const Family kExpandedDepthwise;

}  // namespace treadle::cpu

// Depthwise convolution in channels-last layout, native.
#pragma once

#include "backends/cpu/family.h"

namespace treadle::cpu {

extern const Family kDepthwise;

}  // namespace treadle::cpu

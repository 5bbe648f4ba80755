// Depthwise convolution of bytes in channels-last layout, native.
#pragma once

#include "backends/cpu/family.h"

namespace treadle::cpu {

extern const Family kQuantizedDepthwise;

}  // namespace treadle::cpu

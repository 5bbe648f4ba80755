// treadle.ConvGradInput in channels-last layout: products with packed weights, added where the
// windows lay.
#pragma once

#include "backends/cpu/family.h"

namespace treadle::cpu {

extern const Family kNativeConvGradInput;

}  // namespace treadle::cpu

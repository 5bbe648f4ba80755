// treadle.ConvGradWeights in channels-last layout, as sums of outer products over packed panels.
#pragma once

#include "backends/cpu/family.h"

namespace treadle::cpu {

extern const Family kNativeConvGradWeights;

}  // namespace treadle::cpu

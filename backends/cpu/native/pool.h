// The largest element of each window, NaN and -∞ included, which oneDNN loses; and the way back
// to it (treadle.MaxPoolGrad).
#pragma once

#include "backends/cpu/family.h"

namespace treadle::cpu {

extern const Family kNativeMaxPool;
extern const Family kNativeMaxPoolGrad;

}  // namespace treadle::cpu

// The largest element of each window, NaN and -∞ included, which oneDNN's pooling loses.
#pragma once

#include "backends/cpu/family.h"

namespace treadle::cpu {

extern const Family kNativeMaxPool;

}  // namespace treadle::cpu

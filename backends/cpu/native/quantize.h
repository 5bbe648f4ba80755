// Quantization by the range of the data, natively.
#pragma once

#include "backends/cpu/family.h"

namespace treadle::cpu {

extern const Family kNativeDynamicQuantize;  // "native dynamic_quantize"

}  // namespace treadle::cpu

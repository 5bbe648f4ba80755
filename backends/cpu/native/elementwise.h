// Elementwise nodes and fused regions of them over float and bool.
#pragma once

#include "backends/cpu/family.h"

namespace treadle::cpu {

extern const Family kNativeElementwise;

}  // namespace treadle::cpu

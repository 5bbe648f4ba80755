// Resize of floats, one axis after another.
#pragma once

#include "backends/cpu/family.h"

namespace treadle::cpu {

extern const Family kNativeResize;

}  // namespace treadle::cpu

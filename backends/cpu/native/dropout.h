// The mask of dropout, native.
#pragma once

#include "backends/cpu/family.h"

namespace treadle::cpu {

extern const Family kNativeDropoutMask;

}  // namespace treadle::cpu

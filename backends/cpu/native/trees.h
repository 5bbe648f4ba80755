// Decision trees, natively.
#pragma once

#include "backends/cpu/family.h"

namespace treadle::cpu {

extern const Family kNativeTrees;  // "native trees"

}  // namespace treadle::cpu

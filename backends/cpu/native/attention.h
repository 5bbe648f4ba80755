// Attention over floats: tiles of query rows whose scores stay in the cache, over packed keys and
// values.
#pragma once

#include "backends/cpu/family.h"

namespace treadle::cpu {

extern const Family kNativeAttention;

}  // namespace treadle::cpu

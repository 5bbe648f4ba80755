// Lines of a processor's cache.
#pragma once

#include "graph/base/checked.h"

namespace treadle::cpu {

inline constexpr int64_t kLineBytes = 64;
// At least so many bytes.
inline int64_t whole_lines(int64_t bytes) { return ceil_div(bytes, kLineBytes) * kLineBytes; }

}  // namespace treadle::cpu

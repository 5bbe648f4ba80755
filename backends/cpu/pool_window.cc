#include "backends/cpu/pool_window.h"

#include <algorithm>

namespace treadle::cpu {

int64_t pad_end(const PoolParams& p, size_t axis) {
  return std::max(p.pads_end[axis], p.reach_end(axis));
}

bool windows_meet_input(const PoolParams& p) {
  for (size_t i = 0; i < p.rank(); ++i) {
    if (p.pads_begin[i] < 0) return false;  // the first window starts inside
    if (p.pads_begin[i] >= p.extent(i) || pad_end(p, i) >= p.extent(i)) return false;
    if (p.input[i] < p.dilations[i]) return false;  // cells of a window may lie on both sides
  }
  return true;
}

}  // namespace treadle::cpu

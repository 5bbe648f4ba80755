#include "backends/cpu/simd/transpose.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/simd/transpose.cc"
#include <hwy/foreach_target.h>

#include "backends/cpu/simd/math.h"
#include "backends/cpu/simd/simd.h"

HWY_BEFORE_NAMESPACE();
namespace treadle::cpu::HWY_NAMESPACE {

constexpr hn::ScalableTag<uint32_t> d;

void transpose(const TransposeJob& job) {
  constexpr size_t kLanes = hn::MaxLanes(d);
  size_t j = 0;
  for (; j + kLanes <= job.rows; j += kLanes) {
    const uint32_t* rows[kLanes];
    for (size_t r = 0; r < kLanes; ++r) rows[r] = job.from + (j + r) * job.from_step;
    size_t i = 0;
    for (; i + 4 <= job.columns; i += 4)
      transpose_four(d, rows, i, job.to + i * job.to_step + j, job.to_step);
    for (; i < job.columns; ++i) {
      for (size_t r = 0; r < kLanes; ++r) job.to[i * job.to_step + j + r] = rows[r][i];
    }
  }
  constexpr size_t kTile = 16;  // columns whose lines stay in L1
  for (size_t first = 0; j < job.rows && first < job.columns; first += kTile) {
    const size_t end = first + kTile < job.columns ? first + kTile : job.columns;
    for (size_t i = first; i < end; ++i) {
      for (size_t r = j; r < job.rows; ++r)
        job.to[i * job.to_step + r] = job.from[r * job.from_step + i];
    }
  }
}

}  // namespace treadle::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace treadle::cpu {

HWY_EXPORT(transpose);

TransposeFn transpose_function() {
  prepare_simd();
  return HWY_DYNAMIC_DISPATCH(transpose);
}

}  // namespace treadle::cpu
#endif

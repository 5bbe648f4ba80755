#include "backends/cpu/simd/plane_filter.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/simd/plane_filter.cc"
#include <hwy/foreach_target.h>

#include "backends/cpu/simd/math.h"
#include "backends/cpu/simd/simd.h"

HWY_BEFORE_NAMESPACE();
namespace treadle::cpu::HWY_NAMESPACE {

using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;
constexpr D d;

template <size_t kVectors>
HWY_INLINE void sums_at(const PlaneFilter& f, size_t i, V (&sums)[kVectors]) {
  const size_t lanes = hn::Lanes(d);
#pragma GCC unroll 8
  for (size_t v = 0; v < kVectors; ++v) sums[v] = hn::Set(d, f.bias);
  const float* w = f.w;
  for (size_t r = 0; r < f.rows; ++r) {
    const float* x = f.x + r * f.row_step + i;
    for (size_t c = 0; c < f.columns; ++c, x += f.column_step, ++w) {
      const V weight = hn::Set(d, *w);
#pragma GCC unroll 8
      for (size_t v = 0; v < kVectors; ++v)
        sums[v] = hn::MulAdd(weight, hn::LoadU(d, x + v * lanes), sums[v]);
    }
  }
}

// As many vectors as hide the latency of their sums, then one by one.
void filter_row(const PlaneFilter& f) {
  constexpr size_t kVectors = 8;
  const size_t lanes = hn::Lanes(d);
  size_t i = 0;
  for (; i + kVectors * lanes <= f.n; i += kVectors * lanes) {
    V sums[kVectors];
    sums_at(f, i, sums);
#pragma GCC unroll 8
    for (size_t v = 0; v < kVectors; ++v) hn::StoreU(sums[v], d, f.y + i + v * lanes);
  }
  for (; i < f.n; i += lanes) {
    V sums[1];
    sums_at(f, i, sums);
    if (f.n - i >= lanes) {
      hn::StoreU(sums[0], d, f.y + i);
    } else {
      store_part(d, sums[0], f.y + i, f.n - i);
    }
  }
}

PlaneFilterFunction find_plane_filter() { return {filter_row, hn::Lanes(d)}; }

}  // namespace treadle::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace treadle::cpu {

PlaneFilterFunction plane_filter_function() { return TREADLE_DISPATCH(find_plane_filter)(); }

}  // namespace treadle::cpu
#endif

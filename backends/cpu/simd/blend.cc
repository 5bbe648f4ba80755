#include "backends/cpu/simd/blend.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/simd/blend.cc"
#include <hwy/foreach_target.h>

#include "backends/cpu/simd/math.h"
#include "backends/cpu/simd/simd.h"

HWY_BEFORE_NAMESPACE();
namespace treadle::cpu::HWY_NAMESPACE {

using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;
constexpr D d;

void blend_rows(const float* from, const int32_t* cells, const float* weights, size_t taps,
                float* to, size_t n) {
  const auto row = [&](size_t t) HWY_ATTR { return from + static_cast<size_t>(cells[t]) * n; };
  const size_t lanes = hn::Lanes(d);
  size_t i = 0;
  for (; i + 2 * lanes <= n; i += 2 * lanes) {
    V low = hn::Zero(d), high = hn::Zero(d);
    for (size_t t = 0; t < taps; ++t) {
      const V weight = hn::Set(d, weights[t]);
      low = hn::MulAdd(weight, hn::LoadU(d, row(t) + i), low);
      high = hn::MulAdd(weight, hn::LoadU(d, row(t) + i + lanes), high);
    }
    hn::StoreU(low, d, to + i);
    hn::StoreU(high, d, to + i + lanes);
  }
  for (; i < n; i += lanes) {
    const size_t left = n - i < lanes ? n - i : lanes;
    V sum = hn::Zero(d);
    for (size_t t = 0; t < taps; ++t)
      sum = hn::MulAdd(hn::Set(d, weights[t]), load_part(d, row(t) + i, left), sum);
    store_part(d, sum, to + i, left);
  }
}

void blend_cells(const float* from, const int32_t* cells, const float* weights, size_t taps,
                 float* to, size_t n) {
  constexpr hn::RebindToSigned<D> di;
  const size_t lanes = hn::Lanes(d);
  size_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    V sum = hn::Zero(d);
    for (size_t at = i; at < taps * n; at += n)
      sum = hn::MulAdd(hn::LoadU(d, weights + at),
                       hn::GatherIndex(d, from, hn::LoadU(di, cells + at)), sum);
    hn::StoreU(sum, d, to + i);
  }
  for (; i < n; ++i) {
    to[i] = 0;
    for (size_t at = i; at < taps * n; at += n) to[i] += weights[at] * from[cells[at]];
  }
}

const BlendFunctions* blend_table() {
  static const BlendFunctions table{blend_rows, blend_cells};
  return &table;
}

}  // namespace treadle::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace treadle::cpu {

const BlendFunctions& blend_functions() { return *TREADLE_DISPATCH(blend_table)(); }

}  // namespace treadle::cpu
#endif

#include "backends/cpu/simd/quantize.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/simd/quantize.cc"
#include <hwy/foreach_target.h>

#include "backends/cpu/simd/math.h"
#include "backends/cpu/simd/simd.h"

HWY_BEFORE_NAMESPACE();
namespace treadle::cpu::HWY_NAMESPACE {

using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;
constexpr D d;

// Of the lanes.
struct Found {
  V low, high;
  V trace;  // 0, or NaN once something was not finite

  HWY_INLINE void take(V x) {
#if HWY_TARGET == HWY_SCALAR
    low = hn::IfThenElse(hn::Lt(x, low), x, low);
    high = hn::IfThenElse(hn::Gt(x, high), x, high);
#else
    low = hn::Min(x, low), high = hn::Max(x, high);  // x86 gives the second where one is NaN
#endif
    trace = hn::MulAdd(x, hn::Zero(d), trace);
  }
};

Extremes extremes(const float* x, size_t n) {
  constexpr size_t kAtOnce = 4;
  const size_t lanes = hn::Lanes(d);
  Found found[kAtOnce];
  for (Found& f : found) f.low = f.high = f.trace = hn::Zero(d);
  size_t i = 0;
  for (; i + kAtOnce * lanes <= n; i += kAtOnce * lanes) {
#pragma GCC unroll 4
    for (size_t k = 0; k < kAtOnce; ++k) found[k].take(hn::LoadU(d, x + i + k * lanes));
  }
  for (; i + lanes <= n; i += lanes) found[0].take(hn::LoadU(d, x + i));
  if (i < n) found[0].take(load_part(d, x + i, n - i));
  for (size_t k = 1; k < kAtOnce; ++k) {
    found[0].low = hn::Min(found[0].low, found[k].low);
    found[0].high = hn::Max(found[0].high, found[k].high);
    found[0].trace = hn::Add(found[0].trace, found[k].trace);
  }
  return {hn::GetLane(hn::MinOfLanes(d, found[0].low)),
          hn::GetLane(hn::MaxOfLanes(d, found[0].high)),
          hn::GetLane(hn::SumOfLanes(d, found[0].trace)) == 0};
}

// A sum with a number whose last bit is worth 1 rounds.
void to_uint8(const float* x, uint8_t* y, size_t n, float scale, int32_t zero_point) {
  constexpr float kOnes = 12582912;  // 1.5 * 2^23
  const hn::Rebind<int32_t, D> ints;
  const hn::Rebind<uint32_t, D> words;
  const hn::Rebind<uint8_t, D> bytes;
  const V by = hn::Set(d, scale), inverse = hn::Set(d, 1 / scale), ones = hn::Set(d, kOnes);
  const auto shift = hn::Sub(hn::Set(ints, zero_point), hn::BitCast(ints, ones));
  const auto most = hn::Set(ints, 255);
  const auto quantized = [&](V v) HWY_ATTR {
    const V quotient = quotient_of(v, by, inverse);
    const auto level = hn::Add(hn::BitCast(ints, hn::Add(quotient, ones)), shift);
    return hn::BitCast(words, hn::Min(hn::Max(level, hn::Zero(ints)), most));
  };
  const size_t lanes = hn::Lanes(d);
  size_t i = 0;
  for (; i + lanes <= n; i += lanes)
    hn::StoreU(hn::TruncateTo(bytes, quantized(hn::LoadU(d, x + i))), bytes, y + i);
  for (; i < n; ++i) y[i] = static_cast<uint8_t>(hn::GetLane(quantized(hn::Set(d, x[i]))));
}

const QuantizeFunctions& quantize_table() {
  static const QuantizeFunctions table{extremes, to_uint8};
  return table;
}

}  // namespace treadle::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace treadle::cpu {

const QuantizeFunctions& quantize_functions() { return TREADLE_DISPATCH(quantize_table)(); }

}  // namespace treadle::cpu
#endif

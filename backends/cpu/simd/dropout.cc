#include "backends/cpu/simd/dropout.h"

#include <algorithm>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/simd/dropout.cc"
#include <hwy/foreach_target.h>

#include "backends/cpu/simd/math.h"
#include "backends/cpu/simd/simd.h"

HWY_BEFORE_NAMESPACE();
namespace treadle::cpu::HWY_NAMESPACE {

using D = hn::ScalableTag<float>;
using U = hn::ScalableTag<uint32_t>;
using W = hn::Vec<U>;
constexpr U u;

struct Words {
  W low, high;
};

#if HWY_TARGET == HWY_SCALAR || HWY_TARGET == HWY_EMU128
HWY_INLINE Words multiply(W x, uint32_t factor) {
  const size_t lanes = hn::Lanes(u);
  uint32_t in[HWY_MAX_BYTES / 4], low[HWY_MAX_BYTES / 4], high[HWY_MAX_BYTES / 4];
  hn::StoreU(x, u, in);
  for (size_t i = 0; i < lanes; ++i) {
    const uint64_t product = uint64_t{in[i]} * factor;
    low[i] = static_cast<uint32_t>(product);
    high[i] = static_cast<uint32_t>(product >> 32);
  }
  return {hn::LoadU(u, low), hn::LoadU(u, high)};
}
HWY_INLINE void store_turns(const W* x, const DropoutDraw& draw, float* mask) {
  const size_t lanes = hn::Lanes(u);
  uint32_t word[HWY_MAX_BYTES / 4];
  for (size_t k = 0; k < 4; ++k) {
    hn::StoreU(x[k], u, word);
    for (size_t i = 0; i < lanes; ++i) mask[4 * i + k] = word[i] < draw.bound ? 0 : draw.kept;
  }
}
#else
constexpr D d;

// Products of 32 by 32 bits exist for every other lane.
HWY_INLINE Words multiply(W x, uint32_t factor) {
  const hn::Repartition<uint64_t, U> wide;
  const W f = hn::Set(u, factor);
  const auto even = hn::MulEven(x, f);
  const auto odd = hn::MulEven(hn::BitCast(u, hn::ShiftRight<32>(hn::BitCast(wide, x))), f);
  return {hn::OddEven(hn::BitCast(u, hn::ShiftLeft<32>(odd)), hn::BitCast(u, even)),
          hn::OddEven(hn::BitCast(u, odd), hn::BitCast(u, hn::ShiftRight<32>(even)))};
}
HWY_INLINE void store_turns(const W* x, const DropoutDraw& draw, float* mask) {
  const W bound = hn::Set(u, draw.bound);
  const auto kept = hn::Set(d, draw.kept);
  const auto value = [&](W drawn) HWY_ATTR {
    return hn::IfThenZeroElse(hn::RebindMask(d, hn::Lt(drawn, bound)), kept);
  };
  hn::StoreInterleaved4(value(x[0]), value(x[1]), value(x[2]), value(x[3]), d, mask);
}
#endif

// graph/ops/philox.h, a counter in each lane.
void draw_counters(const DropoutDraw& draw, uint64_t first, float* mask) {
  uint32_t low[HWY_MAX_BYTES / 4], high[HWY_MAX_BYTES / 4];
  for (size_t i = 0; i < hn::Lanes(u); ++i) {
    low[i] = static_cast<uint32_t>(first + i);
    high[i] = static_cast<uint32_t>((first + i) >> 32);
  }
  W x[4] = {hn::LoadU(u, low), hn::LoadU(u, high), hn::Set(u, static_cast<uint32_t>(draw.draw)),
            hn::Set(u, static_cast<uint32_t>(draw.draw >> 32))};
  auto k0 = static_cast<uint32_t>(draw.key);
  auto k1 = static_cast<uint32_t>(draw.key >> 32);
  for (int round = 0; round < 10; ++round) {
    const Words a = multiply(x[0], 0xd2511f53);
    const Words b = multiply(x[2], 0xcd9e8d57);
    x[0] = hn::Xor(hn::Xor(b.high, x[1]), hn::Set(u, k0));
    x[1] = b.low;
    x[2] = hn::Xor(hn::Xor(a.high, x[3]), hn::Set(u, k1));
    x[3] = a.low;
    k0 += 0x9e3779b9;
    k1 += 0xbb67ae85;
  }
  store_turns(x, draw, mask);
}

void draw_mask(const DropoutDraw& draw, uint64_t first, float* mask, size_t count) {
  const size_t lanes = hn::Lanes(u);
  size_t i = 0;
  for (; i + 4 * lanes <= count; i += 4 * lanes) draw_counters(draw, first + i / 4, mask + i);
  if (i == count) return;
  float rest[HWY_MAX_BYTES];
  draw_counters(draw, first + i / 4, rest);
  std::copy_n(rest, count - i, mask + i);
}

}  // namespace treadle::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace treadle::cpu {

void draw_dropout_mask(const DropoutDraw& draw, uint64_t first, float* mask, size_t count) {
  TREADLE_DISPATCH(draw_mask)(draw, first, mask, count);
}

}  // namespace treadle::cpu
#endif

#include "backends/cpu/simd/halves.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/simd/halves.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "backends/cpu/simd/simd.h"

HWY_BEFORE_NAMESPACE();
namespace treadle::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// One vector's numbers.
#if HWY_TARGET == HWY_SCALAR
HWY_INLINE size_t lanes() { return 1; }
template <class T>
HWY_INLINE void widen(const T* from, float* to) {
  *to = *from;
}
template <class T>
HWY_INLINE void narrow(const float* from, T* to) {
  *to = T(*from);
}
#else
using D = hn::ScalableTag<float>;
using U = hn::RebindToUnsigned<D>;
constexpr D d;
constexpr U u;
constexpr hn::Rebind<hwy::float16_t, D> f16;
constexpr hn::Rebind<uint16_t, D> u16;
HWY_INLINE size_t lanes() { return hn::Lanes(d); }

HWY_INLINE void widen(const Float16* from, float* to) {
  const auto x = hn::LoadU(f16, reinterpret_cast<const hwy::float16_t*>(from));
  hn::StoreU(hn::PromoteTo(d, x), d, to);
}
HWY_INLINE void widen(const Bfloat16* from, float* to) {
  const auto x = hn::LoadU(u16, reinterpret_cast<const uint16_t*>(from));
  hn::StoreU(hn::BitCast(d, hn::ShiftLeft<16>(hn::PromoteTo(u, x))), d, to);
}
HWY_INLINE void narrow(const float* from, Float16* to) {
  const auto x = hn::DemoteTo(f16, hn::LoadU(d, from));
  hn::StoreU(x, f16, reinterpret_cast<hwy::float16_t*>(to));
}
HWY_INLINE void narrow(const float* from, Bfloat16* to) {
  const auto x = hn::LoadU(d, from);
  const auto bits = hn::BitCast(u, x);
  const auto high = hn::ShiftRight<16>(bits);
  const auto odd = hn::And(high, hn::Set(u, 1));
  const auto rounded = hn::ShiftRight<16>(hn::Add(bits, hn::Add(odd, hn::Set(u, 0x7fff))));
  const auto nan = hn::RebindMask(u, hn::IsNaN(x));
  const auto result = hn::IfThenElse(nan, hn::Or(high, hn::Set(u, 0x40)), rounded);
  hn::StoreU(hn::TruncateTo(u16, result), u16, reinterpret_cast<uint16_t*>(to));
}
#endif

template <class T>
void widen_all(const T* from, float* to, size_t n) {
  size_t i = 0;
  for (; i + lanes() <= n; i += lanes()) widen(from + i, to + i);
  for (; i < n; ++i) to[i] = from[i];
}
template <class T>
void narrow_all(const float* from, T* to, size_t n) {
  size_t i = 0;
  for (; i + lanes() <= n; i += lanes()) narrow(from + i, to + i);
  for (; i < n; ++i) to[i] = T(from[i]);
}

const HalfFunctions& half_table() {
  static const HalfFunctions table{widen_all<Float16>, widen_all<Bfloat16>, narrow_all<Float16>,
                                   narrow_all<Bfloat16>};
  return table;
}

}  // namespace treadle::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace treadle::cpu {

const HalfFunctions& half_functions() { return TREADLE_DISPATCH(half_table)(); }

}  // namespace treadle::cpu
#endif

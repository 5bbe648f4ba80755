// Products of four bytes at a time, for the instruction set being compiled. Included by simd/*.cc
// only, after hwy/foreach_target.h and simd/math.h.
#if defined(TREADLE_CPU_SIMD_QUADS_H) == defined(HWY_TARGET_TOGGLE)
#ifdef TREADLE_CPU_SIMD_QUADS_H
#undef TREADLE_CPU_SIMD_QUADS_H
#else
#define TREADLE_CPU_SIMD_QUADS_H
#endif

#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3
HWY_BEFORE_NAMESPACE();
namespace treadle::cpu::HWY_NAMESPACE {

template <class D>
using Sums = hn::Vec<hn::Repartition<int32_t, D>>;

// What Highway 1.0 lacks.
HWY_INLINE hn::Vec256<int8_t> to_bytes(hn::Vec256<int16_t> a, hn::Vec256<int16_t> b) {
  return hn::Vec256<int8_t>{_mm256_packs_epi16(a.raw, b.raw)};
}
HWY_INLINE hn::Vec256<int32_t> to_integers(hn::Vec256<float> x) {
  return hn::Vec256<int32_t>{_mm256_cvtps_epi32(x.raw)};
}
#if HWY_TARGET == HWY_AVX3
HWY_INLINE hn::Vec512<int8_t> to_bytes(hn::Vec512<int16_t> a, hn::Vec512<int16_t> b) {
  return hn::Vec512<int8_t>{_mm512_packs_epi16(a.raw, b.raw)};
}
HWY_INLINE hn::Vec512<int32_t> to_integers(hn::Vec512<float> x) {
  return hn::Vec512<int32_t>{_mm512_cvtps_epi32(x.raw)};
}
#endif

// Four bytes of each lane of 32 bits, or the int8 weights for them.
#if HWY_TARGET == HWY_AVX3
// By VNNI.
template <class D>
struct Quads {
  static constexpr size_t kWidth = 1;  // bytes a weight
  hn::Vec<D> bytes;

  static HWY_INLINE Quads of(hn::Vec<D> x) { return {x}; }
  static HWY_INLINE Quads load(const std::byte* weights) {
    return {hn::LoadU(D(), reinterpret_cast<const uint8_t*>(weights))};
  }
  // sum + this * weights. As assembly since the functions around it are compiled without VNNI.
  HWY_INLINE Sums<D> add_product(const Quads& weights, Sums<D> sum) const {
    asm("vpdpbusd %2, %1, %0" : "+v"(sum.raw) : "v"(bytes.raw), "v"(weights.bytes.raw));
    return sum;
  }
};
#else
// As pairs of integers of 16 bits: bytes 0 and 2, and 1 and 3.
template <class D>
struct Quads {
  using D16 = hn::Repartition<int16_t, D>;
  static constexpr size_t kWidth = 2;
  hn::Vec<D16> even, odd;

  static HWY_INLINE Quads of(hn::Vec<D> x) {
    const hn::Repartition<uint16_t, D> d16;
    const auto both = hn::BitCast(d16, x);
    return {hn::BitCast(D16(), hn::And(both, hn::Set(d16, 255))),
            hn::BitCast(D16(), hn::ShiftRight<8>(both))};
  }
  static HWY_INLINE Quads load(const std::byte* weights) {
    const auto* from = reinterpret_cast<const int16_t*>(weights);
    return {hn::LoadU(D16(), from), hn::LoadU(D16(), from + hn::MaxLanes(D16()))};
  }
  HWY_INLINE Sums<D> add_product(const Quads& weights, Sums<D> sum) const {
    const hn::Repartition<int32_t, D> d32;
    Sums<D> none = hn::Zero(d32);  // on x86 the first takes all
    sum = hn::ReorderWidenMulAccumulate(d32, even, weights.even, sum, none);
    return hn::ReorderWidenMulAccumulate(d32, odd, weights.odd, sum, none);
  }
};
#endif

}  // namespace treadle::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
#endif

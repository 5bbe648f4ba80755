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
HWY_INLINE hn::Vec128<int8_t> to_bytes(hn::Vec128<int16_t> a, hn::Vec128<int16_t> b) {
  return hn::Vec128<int8_t>{_mm_packs_epi16(a.raw, b.raw)};
}
HWY_INLINE hn::Vec128<int32_t> to_integers(hn::Vec128<float> x) {
  return hn::Vec128<int32_t>{_mm_cvtps_epi32(x.raw)};
}
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

// sum + x · weights, of two int16 of each lane of 32 bits. VNNI is written as assembly since the
// functions around it are compiled without.
template <class V>
HWY_INLINE V add_pairs(V x, V weights, V sum) {
#if HWY_TARGET == HWY_AVX3
  asm("vpdpwssd %2, %1, %0" : "+v"(sum.raw) : "v"(x.raw), "v"(weights.raw));
  return sum;
#else
  const hn::DFromV<V> d32;
  const hn::Repartition<int16_t, decltype(d32)> d16;
  V none = hn::Zero(d32);  // on x86 the first takes all
  return hn::ReorderWidenMulAccumulate(d32, hn::BitCast(d16, x), hn::BitCast(d16, weights), sum,
                                       none);
#endif
}

// The same of four bytes of each lane by int8 (VNNI), or of two int16.
template <class V>
HWY_INLINE V add_words(V x, V weights, V sum) {
#if HWY_TARGET == HWY_AVX3
  asm("vpdpbusd %2, %1, %0" : "+v"(sum.raw) : "v"(x.raw), "v"(weights.raw));
  return sum;
#else
  return add_pairs(x, weights, sum);
#endif
}

#if HWY_TARGET == HWY_AVX2
// The same of four bytes by int8, pairs of whose products 16 bits hold.
HWY_INLINE hn::Vec256<int32_t> add_quads(hn::Vec256<int32_t> x, hn::Vec256<int32_t> weights,
                                         hn::Vec256<int32_t> sum) {
  const hn::Vec256<int32_t> pairs{_mm256_maddubs_epi16(x.raw, weights.raw)};
  return add_words(pairs, hn::Set(hn::Full256<int32_t>(), 0x10001), sum);
}
#endif

// Four bytes of each lane of 32 bits, or the int8 weights for them: as such, or as two words of
// int16, bytes 0 and 2, and 1 and 3.
template <class D>
struct Quads {
  using D32 = hn::Repartition<int32_t, D>;
  static constexpr size_t kWords = HWY_TARGET == HWY_AVX3 ? 1 : 2;
  static constexpr size_t kWidth = kWords;  // bytes a weight
  Sums<D> words[kWords];

  static HWY_INLINE Quads of(hn::Vec<D> x) {
    if constexpr (kWords == 1) {
      return {{hn::BitCast(D32(), x)}};
    } else {
      const hn::Repartition<uint16_t, D> d16;
      const auto both = hn::BitCast(d16, x);
      return {{hn::BitCast(D32(), hn::And(both, hn::Set(d16, 255))),
               hn::BitCast(D32(), hn::ShiftRight<8>(both))}};
    }
  }
  static HWY_INLINE Quads load(const std::byte* weights) {
    const auto* from = reinterpret_cast<const int32_t*>(weights);
    Quads q;
#pragma GCC unroll 2
    for (size_t i = 0; i < kWords; ++i)
      q.words[i] = hn::LoadU(D32(), from + i * hn::MaxLanes(D32()));
    return q;
  }
  HWY_INLINE Sums<D> add_product(const Quads& weights, Sums<D> sum) const {
#pragma GCC unroll 2
    for (size_t i = 0; i < kWords; ++i) sum = add_words(words[i], weights.words[i], sum);
    return sum;
  }
};

}  // namespace treadle::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
#endif

#include "backends/cpu/simd/lookup.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/simd/lookup.cc"
#include <hwy/foreach_target.h>

#include "backends/cpu/simd/math.h"
#include "backends/cpu/simd/simd.h"

HWY_BEFORE_NAMESPACE();
namespace treadle::cpu::HWY_NAMESPACE {

void look_up_each(const uint8_t* table, const uint8_t* from, size_t n, uint8_t* to) {
  for (size_t i = 0; i < n; ++i) to[i] = table[from[i]];
}

#if HWY_TARGET == HWY_AVX3
// By the index's last seven bits. VBMI is written as assembly since the functions around it are
// compiled without.
HWY_INLINE __m512i permute(__m512i index, __m512i low, __m512i high) {
  asm("vpermi2b %2, %1, %0" : "+v"(index) : "v"(low), "v"(high));
  return index;
}

void look_up_many(const uint8_t* table, const uint8_t* from, size_t n, uint8_t* to) {
  constexpr size_t kLanes = 64;
  __m512i t[kTableBytes / kLanes];
  for (size_t i = 0; i < kTableBytes / kLanes; ++i) t[i] = _mm512_loadu_si512(table + i * kLanes);
  size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    const __m512i index = _mm512_loadu_si512(from + i);
    const __m512i low = permute(index, t[0], t[1]), high = permute(index, t[2], t[3]);
    _mm512_storeu_si512(to + i, _mm512_mask_mov_epi8(low, _mm512_movepi8_mask(index), high));
  }
  look_up_each(table, from + i, n - i, to + i);
}

LookupFunction find_lookup() {
  return permutes_bytes() ? LookupFunction{look_up_many, true}
                          : LookupFunction{look_up_each, false};
}

#else

LookupFunction find_lookup() { return {look_up_each, false}; }

#endif

}  // namespace treadle::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace treadle::cpu {

LookupFunction lookup_function() { return TREADLE_DISPATCH(find_lookup)(); }

}  // namespace treadle::cpu
#endif

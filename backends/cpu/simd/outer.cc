#include "backends/cpu/simd/outer.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/simd/outer.cc"
#include <hwy/foreach_target.h>

#include "backends/cpu/simd/math.h"
#include "backends/cpu/simd/simd.h"

HWY_BEFORE_NAMESPACE();
namespace treadle::cpu::HWY_NAMESPACE {

using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;
constexpr D d;

// All sums stay in registers.
template <size_t kRows, size_t kVectors>
void accumulate_rows(const OuterBlock& block) {
  const size_t lanes = hn::Lanes(d);
  V sum[kRows][kVectors];
  for (size_t i = 0; i < kRows; ++i) {
    for (size_t v = 0; v < kVectors; ++v)
      sum[i][v] = hn::LoadU(d, block.c + (kVectors * i + v) * lanes);
  }
  for (size_t r = 0; r < block.run_count; ++r) {
    const float* a = block.a + block.runs[r].a;
    const float* b = block.b + block.runs[r].b;
    for (size_t k = block.runs[r].count; k > 0; --k, a += block.a_step, b += kVectors * lanes) {
      V right[kVectors];
      for (size_t v = 0; v < kVectors; ++v) right[v] = hn::LoadU(d, b + v * lanes);
#pragma GCC unroll 6
      for (size_t i = 0; i < kRows; ++i) {
        const V factor = hn::Set(d, a[i]);
#pragma GCC unroll 2
        for (size_t v = 0; v < kVectors; ++v) sum[i][v] = hn::MulAdd(factor, right[v], sum[i][v]);
      }
    }
  }
  for (size_t i = 0; i < kRows; ++i) {
    for (size_t v = 0; v < kVectors; ++v)
      hn::StoreU(sum[i][v], d, block.c + (kVectors * i + v) * lanes);
  }
}

template <size_t kVectors>
void accumulate_columns(const OuterBlock& block) {
  switch (block.rows) {
    case 1: return accumulate_rows<1, kVectors>(block);
    case 2: return accumulate_rows<2, kVectors>(block);
    case 3: return accumulate_rows<3, kVectors>(block);
    case 4: return accumulate_rows<4, kVectors>(block);
    case 5: return accumulate_rows<5, kVectors>(block);
    default: return accumulate_rows<kMostRows, kVectors>(block);
  }
}

void accumulate(const OuterBlock& block) {
  return block.narrow ? accumulate_columns<1>(block) : accumulate_columns<2>(block);
}

void add(const OuterAddition& a) {
  const size_t lanes = hn::Lanes(d);
  const float* from = a.from;
  float* to = a.to;
  for (size_t i = 0; i < a.count; ++i, from += a.from_step, to += a.to_step) {
    size_t j = 0;
    for (; j + lanes <= a.n; j += lanes)
      hn::StoreU(hn::Add(hn::LoadU(d, to + j), hn::LoadU(d, from + j)), d, to + j);
    for (; j < a.n; ++j) to[j] += from[j];
  }
}

const OuterFunctions* outer_table() {
  static const OuterFunctions table{2 * hn::Lanes(d), accumulate, add};
  return &table;
}

}  // namespace treadle::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace treadle::cpu {

const OuterFunctions& outer_functions() { return *TREADLE_DISPATCH(outer_table)(); }

}  // namespace treadle::cpu
#endif

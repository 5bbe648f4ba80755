#include "backends/cpu/simd_outer.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/simd_outer.cc"
#include <hwy/foreach_target.h>

#include "backends/cpu/simd.h"
#include "backends/cpu/simd_math.h"

HWY_BEFORE_NAMESPACE();
namespace treadle::cpu::HWY_NAMESPACE {

using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;
constexpr D d;

// All sums stay in registers.
template <size_t kRows>
void accumulate_rows(const OuterBlock& block) {
  const size_t lanes = hn::Lanes(d);
  V sum[kRows][2];
  for (size_t i = 0; i < kRows; ++i) {
    sum[i][0] = hn::LoadU(d, block.c + 2 * i * lanes);
    sum[i][1] = hn::LoadU(d, block.c + (2 * i + 1) * lanes);
  }
  for (size_t r = 0; r < block.run_count; ++r) {
    const float* a = block.a + block.runs[r].a;
    const float* b = block.b + block.runs[r].b;
    for (size_t k = block.runs[r].count; k > 0; --k, a += block.a_step, b += 2 * lanes) {
      const V b0 = hn::LoadU(d, b);
      const V b1 = hn::LoadU(d, b + lanes);
#pragma GCC unroll 6
      for (size_t i = 0; i < kRows; ++i) {
        const V factor = hn::Set(d, a[i]);
        sum[i][0] = hn::MulAdd(factor, b0, sum[i][0]);
        sum[i][1] = hn::MulAdd(factor, b1, sum[i][1]);
      }
    }
  }
  for (size_t i = 0; i < kRows; ++i) {
    hn::StoreU(sum[i][0], d, block.c + 2 * i * lanes);
    hn::StoreU(sum[i][1], d, block.c + (2 * i + 1) * lanes);
  }
}

void accumulate(const OuterBlock& block) {
  switch (block.rows) {
    case 1: return accumulate_rows<1>(block);
    case 2: return accumulate_rows<2>(block);
    case 3: return accumulate_rows<3>(block);
    case 4: return accumulate_rows<4>(block);
    case 5: return accumulate_rows<5>(block);
    default: return accumulate_rows<kMostRows>(block);
  }
}

const OuterFunctions* outer_table() {
  static const OuterFunctions table{2 * hn::Lanes(d), accumulate};
  return &table;
}

}  // namespace treadle::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace treadle::cpu {

HWY_EXPORT(outer_table);

const OuterFunctions& outer_functions() {
  prepare_simd();
  return *HWY_DYNAMIC_DISPATCH(outer_table)();
}

}  // namespace treadle::cpu
#endif

#include "backends/cpu/simd_gemm.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/simd_gemm.cc"
#include <hwy/foreach_target.h>

#include "backends/cpu/simd.h"
#include "backends/cpu/simd_math.h"

HWY_BEFORE_NAMESPACE();
namespace treadle::cpu::HWY_NAMESPACE {

using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;
constexpr D d;
constexpr size_t kPanelVectors = 2;

// What one call of the inner loop computes: kRows rows of kVectors vectors.
struct Piece {
  const float* a;
  const float* panels;
  const float* bias;
  float* y;
  size_t columns;
};

template <size_t kRows, size_t kVectors>
HWY_INLINE void piece(const GemmBlock& g, const Piece& at) {
  const size_t lanes = hn::Lanes(d);
  const size_t panel = kPanelVectors * lanes;
  V sum[kRows][kVectors];
#pragma GCC unroll 8
  for (size_t v = 0; v < kVectors; ++v) {
    V start = hn::Zero(d);
    if (at.bias != nullptr && v * lanes < at.columns) {
      const size_t left = at.columns - v * lanes;
      start = left >= lanes ? hn::LoadU(d, at.bias + v * lanes)
                            : load_part(d, at.bias + v * lanes, left);
    }
#pragma GCC unroll 8
    for (size_t r = 0; r < kRows; ++r) sum[r][v] = start;
  }
  for (size_t k = 0; k < g.k; ++k) {
    V b[kVectors];
#pragma GCC unroll 8
    for (size_t v = 0; v < kVectors; ++v) {
      b[v] = hn::Load(d, at.panels + (v / kPanelVectors) * g.k * panel + k * panel +
                             (v % kPanelVectors) * lanes);
    }
#pragma GCC unroll 8
    for (size_t r = 0; r < kRows; ++r) {
      const V a = hn::Set(d, at.a[r * g.a_stride + k]);
#pragma GCC unroll 8
      for (size_t v = 0; v < kVectors; ++v) sum[r][v] = hn::MulAdd(a, b[v], sum[r][v]);
    }
  }
#pragma GCC unroll 8
  for (size_t r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (size_t v = 0; v < kVectors; ++v) {
      if (v * lanes >= at.columns) break;
      const size_t left = at.columns - v * lanes;
      float* to = at.y + r * g.y_stride + v * lanes;
      if (left >= lanes) {
        hn::StoreU(sum[r][v], d, to);
      } else {
        store_part(d, sum[r][v], to, left);
      }
    }
  }
}

// All columns of kRows rows, kVectors vectors at a time, then panel by panel.
template <size_t kRows, size_t kVectors>
void row_block(const GemmBlock& g, size_t row) {
  const size_t panel = kPanelVectors * hn::Lanes(d);
  const size_t wide = kVectors / kPanelVectors * panel;
  size_t c = 0;
  const auto at = [&](size_t columns) HWY_ATTR {
    return Piece{g.a + row * g.a_stride, g.panels + c * g.k,
                 g.bias == nullptr ? nullptr : g.bias + c, g.y + row * g.y_stride + c, columns};
  };
  for (; c + wide <= g.columns; c += wide) piece<kRows, kVectors>(g, at(wide));
  for (; c < g.columns; c += panel) {
    piece<kRows, kPanelVectors>(g, at(g.columns - c < panel ? g.columns - c : panel));
  }
}

void multiply_block(const GemmBlock& g) {
  size_t row = 0;
  for (; row + 6 <= g.rows; row += 6) row_block<6, 2>(g, row);
  switch (g.rows - row) {
    case 5: return row_block<5, 2>(g, row);
    case 4: return row_block<4, 2>(g, row);
    case 3: return row_block<3, 4>(g, row);
    case 2: return row_block<2, 4>(g, row);
    case 1: return row_block<1, 8>(g, row);
    default: return;
  }
}

const GemmFunctions* gemm_table() {
  static const GemmFunctions table{kPanelVectors * hn::Lanes(d), multiply_block};
  return &table;
}

}  // namespace treadle::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace treadle::cpu {

HWY_EXPORT(gemm_table);

const GemmFunctions& gemm_functions() {
  prepare_simd();
  return *HWY_DYNAMIC_DISPATCH(gemm_table)();
}

}  // namespace treadle::cpu
#endif

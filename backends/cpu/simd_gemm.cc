#include "backends/cpu/simd_gemm.h"

#include <array>
#include <utility>

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
#pragma GCC unroll 12
  for (size_t v = 0; v < kVectors; ++v) {
    V start = hn::Zero(d);
    if (at.bias != nullptr && v * lanes < at.columns) {
      const size_t left = at.columns - v * lanes;
      start = left >= lanes ? hn::LoadU(d, at.bias + v * lanes)
                            : load_part(d, at.bias + v * lanes, left);
    }
#pragma GCC unroll 12
    for (size_t r = 0; r < kRows; ++r) sum[r][v] = start;
  }
  for (size_t k = 0; k < g.k; ++k) {
    V b[kVectors];
#pragma GCC unroll 12
    for (size_t v = 0; v < kVectors; ++v) {
      b[v] = hn::Load(d, at.panels + (v / kPanelVectors) * g.k * panel + k * panel +
                             (v % kPanelVectors) * lanes);
    }
#pragma GCC unroll 12
    for (size_t r = 0; r < kRows; ++r) {
      const V a = hn::Set(d, at.a[r * g.a_stride + k]);
#pragma GCC unroll 12
      for (size_t v = 0; v < kVectors; ++v) sum[r][v] = hn::MulAdd(a, b[v], sum[r][v]);
    }
  }
#pragma GCC unroll 12
  for (size_t r = 0; r < kRows; ++r) {
#pragma GCC unroll 12
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

// All columns of kRows rows, kVectors vectors at a time, then panel by panel, or half of one.
template <size_t kRows, size_t kVectors>
void row_block(const GemmBlock& g, size_t row) {
  const size_t lanes = hn::Lanes(d), panel = kPanelVectors * lanes;
  const size_t wide = kVectors / kPanelVectors * panel;
  size_t c = 0;
  const auto at = [&](size_t columns) HWY_ATTR {
    return Piece{g.a + row * g.a_stride, g.panels + c * g.k,
                 g.bias == nullptr ? nullptr : g.bias + c, g.y + row * g.y_stride + c, columns};
  };
  for (; c + wide <= g.columns; c += wide) piece<kRows, kVectors>(g, at(wide));
  for (; c + lanes < g.columns; c += panel) {
    piece<kRows, kPanelVectors>(g, at(g.columns - c < panel ? g.columns - c : panel));
  }
  if (c < g.columns) piece<kRows, 1>(g, at(g.columns - c));
}

// Rows whose sums of kPanelVectors vectors leave registers for the operands: 12 where there are 32
// registers, 6 of 16. Fewer rows take more vectors.
constexpr size_t kMostRows = HWY_MAX_BYTES >= 64 ? 12 : 6;
template <size_t kRows>
constexpr size_t kVectorsOf = kMostRows / kRows >= 6   ? 8
                              : kMostRows / kRows >= 2 ? 4
                                                       : 2;

using RowBlock = void (*)(const GemmBlock& g, size_t row);
template <size_t... kRows>
constexpr std::array<RowBlock, sizeof...(kRows)> row_blocks(std::index_sequence<kRows...>) {
  return {row_block<kRows + 1, kVectorsOf<kRows + 1>>...};
}
constexpr auto kRowBlocks = row_blocks(std::make_index_sequence<kMostRows>());

// In as few blocks of rows as there can be, of about equal size.
void multiply_block(const GemmBlock& g) {
  for (size_t row = 0, blocks = (g.rows + kMostRows - 1) / kMostRows; blocks > 0; --blocks) {
    const size_t rows = (g.rows - row + blocks - 1) / blocks;
    kRowBlocks[rows - 1](g, row);
    row += rows;
  }
}

const GemmFunctions* gemm_table() {
  static const GemmFunctions table{kPanelVectors * hn::Lanes(d), kMostRows, multiply_block};
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

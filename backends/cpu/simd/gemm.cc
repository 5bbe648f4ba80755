#include "backends/cpu/simd/gemm.h"

#include <algorithm>
#include <array>
#include <utility>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/simd/gemm.cc"
#include <hwy/foreach_target.h>

#include "backends/cpu/simd/math.h"
#include "backends/cpu/simd/simd.h"
#include "graph/base/dtype.h"

HWY_BEFORE_NAMESPACE();
namespace treadle::cpu::HWY_NAMESPACE {

using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;
constexpr D d;
constexpr size_t kPanelVectors = 2;

HWY_INLINE V load(const float* from) { return hn::Load(d, from); }
#if HWY_TARGET == HWY_SCALAR
template <class T>
HWY_INLINE V load(const T* from) {
  return hn::Set(d, static_cast<float>(*from));
}
#else
HWY_INLINE V load(const Float16* from) {
  constexpr hn::Rebind<hwy::float16_t, D> half;
  return hn::PromoteTo(d, hn::LoadU(half, reinterpret_cast<const hwy::float16_t*>(from)));
}
HWY_INLINE V load(const Bfloat16* from) {
  constexpr hn::RebindToUnsigned<D> u;
  constexpr hn::Rebind<uint16_t, D> half;
  const auto bits = hn::LoadU(half, reinterpret_cast<const uint16_t*>(from));
  return hn::BitCast(d, hn::ShiftLeft<16>(hn::PromoteTo(u, bits)));
}
#endif

// What one call of the inner loop computes: kRows rows of kVectors vectors.
template <class T>
struct Piece {
  const float* a;
  const T* panels;
  const float* bias;
  float* y;
  size_t columns;
};

// A line of those that a later block reads, every few steps.
struct Ahead {
  static constexpr size_t kSteps = 8, kLine = 64;
  HWY_INLINE void fetch() {
    if (lines == 0) return;
    __builtin_prefetch(at, 0, 2);
    at += kLine;
    --lines;
  }
  const std::byte* at;
  size_t lines;
};

template <size_t kRows, size_t kVectors, class T>
HWY_INLINE void piece(const GemmBlock& g, const Piece<T>& at, Ahead& ahead) {
  const size_t lanes = hn::Lanes(d);
  const size_t panel = kPanelVectors * lanes;
  const size_t panel_numbers = g.panel_depth() * panel;
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
    if (k % Ahead::kSteps == 0) ahead.fetch();
    V b[kVectors];
#pragma GCC unroll 12
    for (size_t v = 0; v < kVectors; ++v) {
      b[v] = load(at.panels + (v / kPanelVectors) * panel_numbers + k * panel +
                  (v % kPanelVectors) * lanes);
    }
#pragma GCC unroll 12
    for (size_t r = 0; r < kRows; ++r) {
      const V a = hn::Set(d, at.a[r * g.a_stride + k]);
#pragma GCC unroll 12
      for (size_t v = 0; v < kVectors; ++v) sum[r][v] = hn::MulAdd(a, b[v], sum[r][v]);
    }
  }
  const auto y_row = [&](size_t r) HWY_ATTR { return at.y + r * g.y_stride; };
  if (at.columns == kVectors * lanes && !g.add) {
#pragma GCC unroll 12
    for (size_t r = 0; r < kRows; ++r) {
#pragma GCC unroll 12
      for (size_t v = 0; v < kVectors; ++v) hn::StoreU(sum[r][v], d, y_row(r) + v * lanes);
    }
    return;
  }
#pragma GCC unroll 12
  for (size_t r = 0; r < kRows; ++r) {
#pragma GCC unroll 12
    for (size_t v = 0; v < kVectors; ++v) {
      if (v * lanes >= at.columns) break;
      const size_t left = std::min(at.columns - v * lanes, lanes);
      float* to = y_row(r) + v * lanes;
      const V before = g.add ? load_part(d, to, left) : hn::Zero(d);
      store_part(d, hn::Add(sum[r][v], before), to, left);
    }
  }
}

// All columns of kRows rows, kVectors vectors at a time, then panel by panel, or half of one.
template <class T, size_t kRows, size_t kVectors>
void row_block(const GemmBlock& g, size_t row) {
  const size_t lanes = hn::Lanes(d), panel = kPanelVectors * lanes;
  const size_t wide = kVectors / kPanelVectors * panel;
  const size_t depth = g.panel_depth();
  size_t c = 0;
  Ahead ahead{g.next, row == 0 ? g.next_lines : 0};
  const auto at = [&](size_t columns) HWY_ATTR {
    return Piece<T>{g.a + row * g.a_stride, static_cast<const T*>(g.panels) + c * depth,
                    g.bias == nullptr ? nullptr : g.bias + c, g.y + row * g.y_stride + c, columns};
  };
  for (; c + wide <= g.columns; c += wide) piece<kRows, kVectors>(g, at(wide), ahead);
  for (; c + lanes < g.columns; c += panel) {
    piece<kRows, kPanelVectors>(g, at(std::min(g.columns - c, panel)), ahead);
  }
  if (c < g.columns) piece<kRows, 1>(g, at(g.columns - c), ahead);
}

// Fewer rows take more vectors.
template <size_t kRows>
constexpr size_t kVectorsOf = kRowsAtOnce / kRows >= 6   ? 8
                              : kRowsAtOnce / kRows >= 2 ? 4
                                                         : 2;

using RowBlock = void (*)(const GemmBlock& g, size_t row);
template <class T, size_t... kRows>
constexpr std::array<RowBlock, sizeof...(kRows)> row_blocks(std::index_sequence<kRows...>) {
  return {row_block<T, kRows + 1, kVectorsOf<kRows + 1>>...};
}
constexpr auto kRowBlocks = row_blocks<float>(std::make_index_sequence<kRowsAtOnce>());
constexpr auto kFloat16Blocks = row_blocks<Float16>(std::make_index_sequence<kNarrowRows>());
constexpr auto kBfloat16Blocks = row_blocks<Bfloat16>(std::make_index_sequence<kNarrowRows>());

template <size_t kMost>
void multiply_rows(const GemmBlock& g, const std::array<RowBlock, kMost>& blocks_of) {
  for_equal_pieces(g.rows, kMost, [&](size_t row, size_t rows) { blocks_of[rows - 1](g, row); });
}
void multiply_block(const GemmBlock& g) {
  switch (g.form) {
    case PanelForm::kFloat: return multiply_rows(g, kRowBlocks);
    case PanelForm::kFloat16: return multiply_rows(g, kFloat16Blocks);
    case PanelForm::kBfloat16: return multiply_rows(g, kBfloat16Blocks);
  }
}

const GemmFunctions* gemm_table() {
  static const GemmFunctions table{kPanelVectors * hn::Lanes(d), kRowsAtOnce, multiply_block};
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

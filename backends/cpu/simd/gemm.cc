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
  const float* plus;
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

// The v-th vector of a row of `columns`.
HWY_INLINE V load_columns(const float* row, size_t v, size_t columns) {
  const size_t lanes = hn::Lanes(d), at = v * lanes;
  if (at >= columns) return hn::Zero(d);
  return columns - at >= lanes ? hn::LoadU(d, row + at) : load_part(d, row + at, columns - at);
}
HWY_INLINE void store_columns(V x, float* row, size_t v, size_t columns) {
  const size_t lanes = hn::Lanes(d), at = v * lanes;
  if (at >= columns) return;
  if (columns - at >= lanes) {
    hn::StoreU(x, d, row + at);
  } else {
    store_part(d, x, row + at, columns - at);
  }
}

template <size_t kRows, size_t kVectors>
using Sums = V[kRows][kVectors];

template <size_t kRows, size_t kVectors, class F>
HWY_INLINE void for_each_sum(Sums<kRows, kVectors>& sum, const F& f) {
#pragma GCC unroll 12
  for (size_t r = 0; r < kRows; ++r) {
#pragma GCC unroll 12
    for (size_t v = 0; v < kVectors; ++v) f(sum[r][v], r, v);
  }
}

template <size_t kRows, size_t kVectors>
HWY_INLINE void finish(const GemmBlock& g, Sums<kRows, kVectors>& sum, const float* plus, float* y,
                       size_t columns) {
  // At the end, rounded once: it may be far larger than the products.
  if (plus != nullptr) {
    for_each_sum<kRows, kVectors>(sum, [&](V& x, size_t r, size_t v) HWY_ATTR {
      x = hn::Add(x, load_columns(plus + r * g.y_stride, v, columns));
    });
  }
  if (g.low > -kInf) {
    const V low = hn::Set(d, g.low);
    for_each_sum<kRows, kVectors>(sum,
                                  [&](V& x, size_t, size_t) HWY_ATTR { x = at_least(x, low); });
  }
  if (g.high < kInf) {
    const V high = hn::Set(d, g.high);
    for_each_sum<kRows, kVectors>(sum,
                                  [&](V& x, size_t, size_t) HWY_ATTR { x = at_most(x, high); });
  }
  for_each_sum<kRows, kVectors>(sum, [&](const V& x, size_t r, size_t v) HWY_ATTR {
    store_columns(x, y + r * g.y_stride, v, columns);
  });
}

template <size_t kRows, size_t kVectors, class T>
HWY_INLINE void piece(const GemmBlock& g, const Piece<T>& at, Ahead& ahead) {
  const size_t lanes = hn::Lanes(d);
  const size_t panel = kPanelVectors * lanes;
  const size_t panel_numbers = g.panel_depth() * panel;
  const size_t whole = kVectors * lanes;
  V sum[kRows][kVectors];
#pragma GCC unroll 12
  for (size_t v = 0; v < kVectors; ++v) {
    const V start = at.bias == nullptr ? hn::Zero(d) : load_columns(at.bias, v, at.columns);
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
  if (at.columns == whole) {
    finish<kRows, kVectors>(g, sum, at.plus, at.y, whole);
  } else {
    finish<kRows, kVectors>(g, sum, at.plus, at.y, at.columns);
  }
}

struct Columns {
  size_t begin;
  size_t end;
};

// Those columns of kRows rows, kVectors vectors at a time, then panel by panel, or half of one.
template <class T, size_t kRows, size_t kVectors>
void row_block(const GemmBlock& g, size_t row, const Columns& columns) {
  const size_t lanes = hn::Lanes(d), panel = kPanelVectors * lanes;
  const size_t wide = kVectors / kPanelVectors * panel;
  const size_t depth = g.panel_depth(), end = columns.end;
  size_t c = columns.begin;
  Ahead ahead{g.next, row == 0 && c == 0 ? g.next_lines : 0};
  const auto at = [&](size_t count) HWY_ATTR {
    const size_t y = row * g.y_stride + c;
    return Piece<T>{g.a + row * g.a_stride,
                    static_cast<const T*>(g.panels) + c * depth,
                    g.bias == nullptr ? nullptr : g.bias + c,
                    g.plus == nullptr ? nullptr : g.plus + y,
                    g.y + y,
                    count};
  };
  for (; c + wide <= end; c += wide) piece<kRows, kVectors>(g, at(wide), ahead);
  for (; c + lanes < end; c += panel) {
    piece<kRows, kPanelVectors>(g, at(std::min(end - c, panel)), ahead);
  }
  if (c < end) piece<kRows, 1>(g, at(end - c), ahead);
}

// Fewer rows take more vectors.
template <size_t kRows>
constexpr size_t kVectorsOf = kRowsAtOnce / kRows >= 6   ? 8
                              : kRowsAtOnce / kRows >= 2 ? 4
                                                         : 2;

using RowBlock = void (*)(const GemmBlock& g, size_t row, const Columns& columns);
template <class T, size_t... kRows>
constexpr std::array<RowBlock, sizeof...(kRows)> row_blocks(std::index_sequence<kRows...>) {
  return {row_block<T, kRows + 1, kVectorsOf<kRows + 1>>...};
}
constexpr auto kRowBlocks = row_blocks<float>(std::make_index_sequence<kRowsAtOnce>());
constexpr auto kFloat16Blocks = row_blocks<Float16>(std::make_index_sequence<kNarrowRows>());
constexpr auto kBfloat16Blocks = row_blocks<Bfloat16>(std::make_index_sequence<kNarrowRows>());

// kRows by kColumns: dot products, for which the rows of a are read along.
template <size_t kRows, size_t kColumns>
HWY_NOINLINE void dots(const GemmBlock& g, size_t row, size_t column, const float* b) {
  const size_t lanes = hn::Lanes(d);
  const float* a = g.a + row * g.a_stride;
  V sum[kRows][kColumns];
  for_each_sum<kRows, kColumns>(sum, [&](V& x, size_t, size_t) HWY_ATTR { x = hn::Zero(d); });
  const auto step = [&](const auto& read) HWY_ATTR {
    V right[kColumns];
#pragma GCC unroll 4
    for (size_t c = 0; c < kColumns; ++c) right[c] = read(b + c * g.panel_depth());
#pragma GCC unroll 12
    for (size_t r = 0; r < kRows; ++r) {
      const V left = read(a + r * g.a_stride);
#pragma GCC unroll 4
      for (size_t c = 0; c < kColumns; ++c) sum[r][c] = hn::MulAdd(left, right[c], sum[r][c]);
    }
  };
  size_t k = 0;
  for (; k + lanes <= g.k; k += lanes)
    step([&](const float* from) HWY_ATTR { return hn::LoadU(d, from + k); });
  if (k < g.k) step([&](const float* from) HWY_ATTR { return load_part(d, from + k, g.k - k); });
  for_each_sum<kRows, kColumns>(sum, [&](const V& x, size_t r, size_t c) HWY_ATTR {
    const size_t at = (row + r) * g.y_stride + column + c;
    float y = hn::GetLane(hn::SumOfLanes(d, x));
    if (g.bias != nullptr) y += g.bias[column + c];
    if (g.plus != nullptr) y += g.plus[at];
    if (y < g.low) y = g.low;
    g.y[at] = y > g.high ? g.high : y;
  });
}

constexpr size_t kDotRows = kRowsAtOnce / 2, kDotColumns = 4;

template <size_t kRows>
void dot_rows(const GemmBlock& g, size_t row) {
  const auto column = [&](size_t c) {
    return static_cast<const float*>(g.panels) + c * g.panel_depth();
  };
  size_t c = 0;
  for (; c + kDotColumns <= g.columns; c += kDotColumns)
    dots<kRows, kDotColumns>(g, row, c, column(c));
  for (; c < g.columns; ++c) dots<kRows, 1>(g, row, c, column(c));
}

void multiply_turned(const GemmBlock& g) {
  size_t row = 0;
  for (; row + kDotRows <= g.rows; row += kDotRows) dot_rows<kDotRows>(g, row);
  for (; row < g.rows; ++row) dot_rows<1>(g, row);
}

// With 32 registers, six rows of four vectors: fewer loads than twelve of two, which are for the
// columns that are left.
constexpr size_t kWideRows = 6;

template <size_t kMost>
void multiply_rows(const GemmBlock& g, const std::array<RowBlock, kMost>& blocks_of) {
  const auto multiply = [&](Columns part, size_t most) {
    if (part.begin == part.end) return;
    for_equal_pieces(g.rows, std::min(most, kMost),
                     [&](size_t row, size_t rows) { blocks_of[rows - 1](g, row, part); });
  };
  const size_t wide = g.columns / (4 * hn::Lanes(d)) * (4 * hn::Lanes(d));
  if (kRowsAtOnce <= kWideRows || g.rows <= kWideRows) return multiply({0, g.columns}, kWideRows);
  multiply({0, wide}, kWideRows);
  multiply({wide, g.columns}, kRowsAtOnce);
}
void multiply_block(const GemmBlock& g) {
  switch (g.form) {
    case PanelForm::kFloat: return multiply_rows(g, kRowBlocks);
    case PanelForm::kFloat16: return multiply_rows(g, kFloat16Blocks);
    case PanelForm::kBfloat16: return multiply_rows(g, kBfloat16Blocks);
    case PanelForm::kTurned: return multiply_turned(g);
  }
}

const GemmFunctions* gemm_table() {
  static const GemmFunctions table{kPanelVectors * hn::Lanes(d), hn::Lanes(d), kRowsAtOnce,
                                   multiply_block};
  return &table;
}

}  // namespace treadle::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace treadle::cpu {

const GemmFunctions& gemm_functions() { return *TREADLE_DISPATCH(gemm_table)(); }

}  // namespace treadle::cpu
#endif

#include "backends/cpu/simd/product.h"

#include <algorithm>
#include <array>
#include <utility>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/simd/product.cc"
#include <hwy/foreach_target.h>

#include "backends/cpu/simd/math.h"
#include "backends/cpu/simd/simd.h"

HWY_BEFORE_NAMESPACE();
namespace treadle::cpu::HWY_NAMESPACE {

using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;
constexpr D d;
constexpr size_t kPanelVectors = 2;

HWY_INLINE size_t panel_width() { return kPanelVectors * hn::Lanes(d); }

HWY_INLINE void put(V sum, const ProductBlock& p, float* to, size_t left) {
  const size_t lanes = hn::Lanes(d);
  const V scale = hn::Set(d, p.scale);
  if (left >= lanes) {
    hn::StoreU(p.add ? hn::MulAdd(sum, scale, hn::LoadU(d, to)) : hn::Mul(sum, scale), d, to);
  } else {
    store_part(d, p.add ? hn::MulAdd(sum, scale, load_part(d, to, left)) : hn::Mul(sum, scale), to,
               left);
  }
}

// kVectors of a panel: one where the columns need no more.
template <size_t kRows, size_t kVectors>
void piece(const ProductBlock& p, size_t row) {
  const size_t lanes = hn::Lanes(d);
  V sum[kRows][kVectors];
#pragma GCC unroll 12
  for (size_t r = 0; r < kRows; ++r) {
#pragma GCC unroll 12
    for (size_t v = 0; v < kVectors; ++v) sum[r][v] = hn::Zero(d);
  }
  const float* a = p.a + row * p.a_row;
  const float* b = p.b;
#pragma GCC unroll 4
  for (size_t k = 0; k < p.k; ++k, a += p.a_step, b += p.b_step) {
    V right[kVectors];
#pragma GCC unroll 12
    for (size_t v = 0; v < kVectors; ++v) right[v] = hn::LoadU(d, b + v * lanes);
#pragma GCC unroll 12
    for (size_t r = 0; r < kRows; ++r) {
      const V left = hn::Set(d, a[r * p.a_row]);
#pragma GCC unroll 12
      for (size_t v = 0; v < kVectors; ++v) sum[r][v] = hn::MulAdd(left, right[v], sum[r][v]);
    }
  }
#pragma GCC unroll 12
  for (size_t r = 0; r < kRows; ++r) {
#pragma GCC unroll 12
    for (size_t v = 0; v < kVectors; ++v) {
      if (v * lanes >= p.columns) break;
      put(sum[r][v], p, p.y + (row + r) * p.y_row + v * lanes, p.columns - v * lanes);
    }
  }
}

using Rows = void (*)(const ProductBlock& p, size_t row);
template <size_t kVectors, size_t... kRows>
constexpr std::array<Rows, sizeof...(kRows)> rows_of(std::index_sequence<kRows...>) {
  return {piece<kRows + 1, kVectors>...};
}
constexpr auto kWhole = rows_of<kPanelVectors>(std::make_index_sequence<kRowsAtOnce>());
constexpr auto kHalf = rows_of<1>(std::make_index_sequence<kRowsAtOnce>());

void multiply_panel(const ProductBlock& p) {
  const auto& pieces = p.columns > hn::Lanes(d) ? kWhole : kHalf;
  for_equal_pieces(p.rows, kRowsAtOnce, [&](size_t row, size_t rows) { pieces[rows - 1](p, row); });
}

// Of a source whose columns are contiguous.
void pack_columns(const PanelPart& part, float* to) {
  constexpr size_t kLanes = hn::MaxLanes(d);
  const size_t panel = panel_width();
  for (size_t first = 0; first < panel; first += kLanes) {
    const float* columns[hn::MaxLanes(d)];
    for (size_t c = 0; c < kLanes; ++c)
      columns[c] = part.from + std::min(first + c, part.columns - 1) * part.column;
    size_t k = 0;
    for (; k + 4 <= part.k; k += 4) transpose_four(d, columns, k, to + k * panel + first, panel);
    for (; k < part.k; ++k) {
      for (size_t c = 0; c < kLanes; ++c) to[k * panel + first + c] = columns[c][k];
    }
  }
}

// Of a source whose rows are contiguous.
void pack_rows(const PanelPart& part, float* to) {
  const size_t lanes = hn::Lanes(d), panel = panel_width();
  const float* from = part.from;
  for (size_t k = 0; k < part.k; ++k, from += part.row, to += panel) {
    if (part.columns == panel) {
#pragma GCC unroll 12
      for (size_t v = 0; v < kPanelVectors; ++v)
        hn::StoreU(hn::LoadU(d, from + v * lanes), d, to + v * lanes);
    } else {
      for (size_t c = 0; c < panel; ++c) to[c] = from[std::min(c, part.columns - 1)];
    }
  }
}

void pack_panel(const PanelPart& part, float* to) {
  if (part.row == 1) return pack_columns(part, to);
  if (part.column == 1) return pack_rows(part, to);
  const size_t panel = panel_width();
  for (size_t k = 0; k < part.k; ++k, to += panel) {
    const float* from = part.from + k * part.row;
    for (size_t c = 0; c < panel; ++c) to[c] = from[std::min(c, part.columns - 1) * part.column];
  }
}

const ProductFunctions* product_table() {
  static const ProductFunctions table{panel_width(), kRowsAtOnce, multiply_panel, pack_panel};
  return &table;
}

}  // namespace treadle::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace treadle::cpu {

const ProductFunctions& product_functions() { return *TREADLE_DISPATCH(product_table)(); }

}  // namespace treadle::cpu
#endif

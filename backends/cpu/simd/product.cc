#include "backends/cpu/simd/product.h"

#include <algorithm>

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
constexpr size_t kVectors = 2;  // of a panel

HWY_INLINE size_t panel_width() { return kVectors * hn::Lanes(d); }

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

template <size_t kRows>
HWY_INLINE void piece(const ProductBlock& p, size_t row) {
  const size_t lanes = hn::Lanes(d);
  V sum[kRows][kVectors];
#pragma GCC unroll 8
  for (size_t r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (size_t v = 0; v < kVectors; ++v) sum[r][v] = hn::Zero(d);
  }
  const float* a = p.a + row * p.a_row;
  const float* b = p.b;
#pragma GCC unroll 4
  for (size_t k = 0; k < p.k; ++k, a += p.a_step, b += p.b_step) {
    V right[kVectors];
#pragma GCC unroll 8
    for (size_t v = 0; v < kVectors; ++v) right[v] = hn::LoadU(d, b + v * lanes);
#pragma GCC unroll 8
    for (size_t r = 0; r < kRows; ++r) {
      const V left = hn::Set(d, a[r * p.a_row]);
#pragma GCC unroll 8
      for (size_t v = 0; v < kVectors; ++v) sum[r][v] = hn::MulAdd(left, right[v], sum[r][v]);
    }
  }
#pragma GCC unroll 8
  for (size_t r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (size_t v = 0; v < kVectors; ++v) {
      if (v * lanes >= p.columns) break;
      put(sum[r][v], p, p.y + (row + r) * p.y_row + v * lanes, p.columns - v * lanes);
    }
  }
}

void multiply_panel(const ProductBlock& p) {
  size_t row = 0;
  for (; row + kProductRows <= p.rows; row += kProductRows) piece<kProductRows>(p, row);
  switch (p.rows - row) {
    case 5: return piece<5>(p, row);
    case 4: return piece<4>(p, row);
    case 3: return piece<3>(p, row);
    case 2: return piece<2>(p, row);
    case 1: return piece<1>(p, row);
    default: return;
  }
}

#if HWY_TARGET != HWY_SCALAR
// Four columns' next four elements become four rows' parts.
HWY_INLINE void transpose_four(const float* const* columns, size_t k, float* to, size_t row) {
  const hn::FixedTag<float, 4> d4;
  const hn::FixedTag<double, 2> pairs;
  const auto a = hn::LoadU(d4, columns[0] + k), b = hn::LoadU(d4, columns[1] + k);
  const auto c = hn::LoadU(d4, columns[2] + k), e = hn::LoadU(d4, columns[3] + k);
  const auto ab_low = hn::BitCast(pairs, hn::InterleaveLower(d4, a, b));
  const auto ab_high = hn::BitCast(pairs, hn::InterleaveUpper(d4, a, b));
  const auto ce_low = hn::BitCast(pairs, hn::InterleaveLower(d4, c, e));
  const auto ce_high = hn::BitCast(pairs, hn::InterleaveUpper(d4, c, e));
  hn::StoreU(hn::BitCast(d4, hn::InterleaveLower(pairs, ab_low, ce_low)), d4, to);
  hn::StoreU(hn::BitCast(d4, hn::InterleaveUpper(pairs, ab_low, ce_low)), d4, to + row);
  hn::StoreU(hn::BitCast(d4, hn::InterleaveLower(pairs, ab_high, ce_high)), d4, to + 2 * row);
  hn::StoreU(hn::BitCast(d4, hn::InterleaveUpper(pairs, ab_high, ce_high)), d4, to + 3 * row);
}
#endif

// Of a source whose columns are contiguous.
void pack_columns(const PanelPart& part, float* to) {
  const size_t panel = panel_width();
  size_t column = 0;
#if HWY_TARGET != HWY_SCALAR
  for (; column + 4 <= part.columns; column += 4) {
    const float* four[4];
    for (size_t c = 0; c < 4; ++c) four[c] = part.from + (column + c) * part.column;
    size_t k = 0;
    for (; k + 4 <= part.k; k += 4) transpose_four(four, k, to + k * panel + column, panel);
    for (; k < part.k; ++k) {
      for (size_t c = 0; c < 4; ++c) to[k * panel + column + c] = four[c][k];
    }
  }
#endif
  for (; column < panel; ++column) {
    const bool there = column < part.columns;
    for (size_t k = 0; k < part.k; ++k) {
      to[k * panel + column] = there ? part.from[column * part.column + k] : 0;
    }
  }
}

// Of a source whose rows are contiguous.
void pack_rows(const PanelPart& part, float* to) {
  const size_t lanes = hn::Lanes(d), panel = panel_width();
  const float* from = part.from;
  for (size_t k = 0; k < part.k; ++k, from += part.row, to += panel) {
    if (part.columns == panel) {
#pragma GCC unroll 8
      for (size_t v = 0; v < kVectors; ++v)
        hn::StoreU(hn::LoadU(d, from + v * lanes), d, to + v * lanes);
    } else {
      for (size_t c = 0; c < panel; ++c) to[c] = c < part.columns ? from[c] : 0;
    }
  }
}

void pack_panel(const PanelPart& part, float* to) {
  if (part.row == 1) return pack_columns(part, to);
  if (part.column == 1) return pack_rows(part, to);
  const size_t panel = panel_width();
  for (size_t k = 0; k < part.k; ++k, to += panel) {
    const float* from = part.from + k * part.row;
    for (size_t c = 0; c < panel; ++c) to[c] = c < part.columns ? from[c * part.column] : 0;
  }
}

const ProductFunctions* product_table() {
  static const ProductFunctions table{panel_width(), multiply_panel, pack_panel};
  return &table;
}

}  // namespace treadle::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace treadle::cpu {

HWY_EXPORT(product_table);

const ProductFunctions& product_functions() {
  prepare_simd();
  return *HWY_DYNAMIC_DISPATCH(product_table)();
}

}  // namespace treadle::cpu
#endif

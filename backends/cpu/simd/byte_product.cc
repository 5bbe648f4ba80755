#include "backends/cpu/simd/byte_product.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/simd/byte_product.cc"
#include <hwy/foreach_target.h>

#include "backends/cpu/simd/math.h"
#include "backends/cpu/simd/quads.h"
#include "backends/cpu/simd/simd.h"

HWY_BEFORE_NAMESPACE();
namespace treadle::cpu::HWY_NAMESPACE {

#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3

using D = hn::ScalableTag<uint8_t>;
using D32 = hn::Repartition<int32_t, D>;
using DF = hn::Repartition<float, D>;
using V32 = hn::Vec<D32>;
using VF = hn::Vec<DF>;
constexpr D d;
constexpr D32 d32;
constexpr hn::Repartition<int16_t, D> d16;
constexpr DF df;
constexpr size_t kLanes = hn::MaxLanes(d32);
constexpr size_t kRows = HWY_TARGET == HWY_AVX3 ? 6 : 4;
constexpr size_t kVectors = HWY_TARGET == HWY_AVX3 ? 4 : 2;

template <size_t kRowsNow, size_t kVectorsNow>
using Tile = V32[kRowsNow][kVectorsNow];

// Where a tile's results go: those of a tile whose last vector is not full, to a copy.
struct Place {
  size_t column;  // of what belongs to columns
  void* y;
  const uint8_t* plus;
  size_t stride;
};

// ---- What becomes of the sums

enum class Mode : uint8_t { kFloats, kBytes, kSums };
constexpr size_t kModes = 3;
Mode mode_of(const ByteBlock& g) {
  if (g.levels == nullptr) return Mode::kFloats;
  return g.levels->plus == nullptr ? Mode::kBytes : Mode::kSums;
}

template <size_t kVectorsNow>
using Row = VF[kVectorsNow];

constexpr hn::Rebind<uint8_t, D32> quarter;

// Vectors that are packed come to lie in parts of 4 bytes, one from each: their order in a row.
constexpr std::array<int32_t, kLanes> order_of_parts() {
  std::array<int32_t, kLanes> order{};
  for (size_t i = 0; i < kLanes; ++i)
    order[i] = static_cast<int32_t>(i % (kLanes / 4) * 4 + i / (kLanes / 4));
  return order;
}
alignas(64) constexpr std::array<int32_t, kLanes> kOrder = order_of_parts();

// Levels around zero to bytes, and bytes to levels: int8, with `flip` as uint8.
struct Bytes {
  int16_t zero;
  uint8_t flip;

  template <size_t kVectorsNow>
  HWY_INLINE void store_row(const Row<kVectorsNow>& levels, uint8_t* to) const {
    const auto pair = [&](size_t v) HWY_ATTR {
      const auto both =
          hn::ReorderDemote2To(d16, to_integers(levels[v]), to_integers(levels[v + 1]));
      return hn::SaturatedAdd(both, hn::Set(d16, zero));
    };
    if constexpr (kVectorsNow == 1) {
      const hn::Rebind<int8_t, D32> narrow;
      const auto level = hn::Add(to_integers(levels[0]), hn::Set(d32, zero));
      const auto bytes = hn::BitCast(quarter, hn::DemoteTo(narrow, level));
      hn::StoreU(hn::Xor(bytes, hn::Set(quarter, flip)), quarter, to);
    } else {
      const auto mixed = hn::BitCast(d32, to_bytes(pair(0), pair(kVectorsNow - 2)));
      const auto ordered = hn::TableLookupLanes(mixed, hn::SetTableIndices(d32, kOrder.data()));
      const auto bytes = hn::Xor(hn::BitCast(d, ordered), hn::Set(d, flip));
      if constexpr (kVectorsNow == 4) {
        hn::StoreU(bytes, d, to);
      } else {
        const hn::Half<D> half;
        hn::StoreU(hn::LowerHalf(half, bytes), half, to);
      }
    }
  }
  HWY_INLINE VF load(const uint8_t* from) const {
    const hn::Rebind<int8_t, D32> narrow;
    const auto bytes = hn::Xor(hn::LoadU(quarter, from), hn::Set(quarter, flip));
    return hn::ConvertTo(df, hn::PromoteTo(d32, hn::BitCast(narrow, bytes)));
  }
};

// f(where a row begins, the row as floats).
template <size_t kRowsNow, size_t kVectorsNow, class F>
HWY_INLINE void for_each_row(const ByteBlock& g, const Place& at,
                             const Tile<kRowsNow, kVectorsNow>& sums, const F& f) {
  const float* scales = g.scales + at.column;
  const float* biases = g.biases + at.column;
#pragma GCC unroll 6
  for (size_t r = 0; r < kRowsNow; ++r) {
    Row<kVectorsNow> row;
#pragma GCC unroll 4
    for (size_t v = 0; v < kVectorsNow; ++v) {
      row[v] = hn::MulAdd(hn::ConvertTo(df, sums[r][v]), hn::LoadU(df, scales + v * kLanes),
                          hn::LoadU(df, biases + v * kLanes));
    }
    f(r * at.stride, row);
  }
}

template <Mode kMode, size_t kRowsNow, size_t kVectorsNow>
HWY_INLINE void store(const ByteBlock& g, const Place& at,
                      const Tile<kRowsNow, kVectorsNow>& sums) {
  if constexpr (kMode == Mode::kFloats) {
    auto* y = static_cast<float*>(at.y);
    for_each_row<kRowsNow, kVectorsNow>(g, at, sums,
                                        [&](size_t to, Row<kVectorsNow>& row) HWY_ATTR {
#pragma GCC unroll 4
                                          for (size_t v = 0; v < kVectorsNow; ++v)
                                            hn::StoreU(row[v], df, y + to + v * kLanes);
                                        });
    return;
  } else {
    const ByteLevels& l = *g.levels;
    auto* y = static_cast<uint8_t*>(at.y);
    const Bytes bytes{l.zero, l.flip};
    const VF low = hn::Set(df, l.low), high = hn::Set(df, l.high), factor = hn::Set(df, l.factor);
    const VF plus_factor = hn::Set(df, l.plus_factor), term = hn::Set(df, l.term);
    for_each_row<kRowsNow, kVectorsNow>(
        g, at, sums, [&](size_t to, Row<kVectorsNow>& row) HWY_ATTR {
#pragma GCC unroll 4
          for (size_t v = 0; kMode == Mode::kSums && v < kVectorsNow; ++v) {
            const VF level = hn::Min(hn::Max(hn::Round(row[v]), low), high);
            const VF other = hn::MulAdd(bytes.load(at.plus + to + v * kLanes), plus_factor, term);
            row[v] = hn::MulAdd(level, factor, other);
          }
          bytes.store_row<kVectorsNow>(row, y + to);
        });
  }
}

// ---- The sums

template <size_t kRowsNow, size_t kVectorsNow, bool kFlip>
HWY_INLINE void add_products(const ByteBlock& g, size_t row, const std::byte* weights, size_t step,
                             Tile<kRowsNow, kVectorsNow>& sums) {
  using Q = Quads<D>;
  const uint8_t* const* parts = g.parts + row * g.count;
  const auto flip = hn::Set(d, 0x80);
  for (size_t p = 0; p < g.count; ++p) {
    const uint8_t* a[kRowsNow];
#pragma GCC unroll 6
    for (size_t r = 0; r < kRowsNow; ++r) a[r] = parts[r * g.count + p];
    if (std::all_of(a, a + kRowsNow, [&](const uint8_t* x) { return x == g.zeros; })) {
      weights += g.quads * step;
      continue;
    }
    for (size_t q = 0; q < g.quads; ++q, weights += step) {
      Q w[kVectorsNow];
#pragma GCC unroll 4
      for (size_t v = 0; v < kVectorsNow; ++v)
        w[v] = Q::load(weights + v * hn::MaxLanes(d) * Q::kWidth);
#pragma GCC unroll 6
      for (size_t r = 0; r < kRowsNow; ++r) {
        int32_t four;
        std::memcpy(&four, a[r] + q * 4, 4);
        auto bytes = hn::BitCast(d, hn::Set(d32, four));
        if constexpr (kFlip) bytes = hn::Xor(bytes, flip);
        const Q x = Q::of(bytes);
#pragma GCC unroll 4
        for (size_t v = 0; v < kVectorsNow; ++v) sums[r][v] = x.add_product(w[v], sums[r][v]);
      }
    }
  }
}

template <Mode kMode, size_t kRowsNow, size_t kVectorsNow>
HWY_NOINLINE void tile(const ByteBlock& g, size_t row, const Place& at, const std::byte* weights,
                       size_t step) {
  Tile<kRowsNow, kVectorsNow> sums;
#pragma GCC unroll 6
  for (size_t r = 0; r < kRowsNow; ++r) {
#pragma GCC unroll 4
    for (size_t v = 0; v < kVectorsNow; ++v)
      sums[r][v] = hn::LoadU(d32, g.starts + at.column + v * kLanes);
  }
  if (g.flip) {
    add_products<kRowsNow, kVectorsNow, true>(g, row, weights, step, sums);
  } else {
    add_products<kRowsNow, kVectorsNow, false>(g, row, weights, step, sums);
  }
  store<kMode, kRowsNow, kVectorsNow>(g, at, sums);
}

using TileFn = void (*)(const ByteBlock& g, size_t row, const Place& at, const std::byte* weights,
                        size_t step);
template <Mode kMode, size_t kVectorsNow, size_t... kRow>
constexpr std::array<TileFn, kRows> tiles(std::index_sequence<kRow...>) {
  return {tile<kMode, kRow + 1, kVectorsNow>...};
}

// Columns that tiles of so many vectors take.
template <size_t kVectorsNow>
void multiply_columns(const ByteBlock& g, size_t column, size_t columns, const std::byte* weights,
                      size_t step) {
  using Rows = std::make_index_sequence<kRows>;
  static constexpr std::array<TileFn, kRows> kTiles[kModes] = {
      tiles<Mode::kFloats, kVectorsNow>(Rows()), tiles<Mode::kBytes, kVectorsNow>(Rows()),
      tiles<Mode::kSums, kVectorsNow>(Rows())};
  const Mode mode = mode_of(g);
  const auto& tiles_now = kTiles[static_cast<size_t>(mode)];
  const uint8_t* all_plus = mode == Mode::kSums ? g.levels->plus : nullptr;
  constexpr size_t kWhole = kVectorsNow * kLanes;
  const size_t size = g.levels == nullptr ? sizeof(float) : 1;
  for_equal_pieces(g.rows, kRows, [&](size_t row, size_t rows) {
    const size_t at = row * g.y_stride + column;
    std::byte* y = static_cast<std::byte*>(g.y) + at * size;
    const uint8_t* plus = all_plus == nullptr ? nullptr : all_plus + at;
    if (columns == kWhole)
      return tiles_now[rows - 1](g, row, {column, y, plus, g.y_stride}, weights, step);
    alignas(64) std::byte results[kRows * kWhole * sizeof(float)];
    alignas(64) uint8_t others[kRows * kWhole];
    for (size_t r = 0; plus != nullptr && r < rows; ++r)
      std::memcpy(others + r * kWhole, plus + r * g.y_stride, columns);
    tiles_now[rows - 1](g, row, {column, results, plus == nullptr ? nullptr : others, kWhole},
                        weights, step);
    for (size_t r = 0; r < rows; ++r)
      std::memcpy(y + r * g.y_stride * size, results + r * kWhole * size, columns * size);
  });
}

void multiply(const ByteBlock& g) {
  constexpr size_t kVectorBytes = hn::MaxLanes(d) * Quads<D>::kWidth;
  const std::byte* weights = g.weights;
  for (size_t column = 0; column < g.columns; column += kVectors * kLanes) {
    const size_t end = std::min(g.columns, column + kVectors * kLanes);
    const size_t vectors = (end - column + kLanes - 1) / kLanes, step = vectors * kVectorBytes;
    for (size_t v = 0, n; v < vectors; v += n) {
      n = vectors - v >= kVectors ? kVectors : std::min<size_t>(vectors - v, 2);
      const auto multiply_now = n == 1   ? multiply_columns<1>
                                : n == 2 ? multiply_columns<2>
                                         : multiply_columns<kVectors>;
      const size_t c = column + v * kLanes;
      multiply_now(g, c, std::min(end - c, n * kLanes), weights + v * kVectorBytes, step);
    }
    weights += step * g.count * g.quads;
  }
}

ByteForm form() { return {kLanes, kVectors * kLanes, kRows, HWY_TARGET == HWY_AVX2}; }
ByteProductFn function() { return multiply; }

#else  // no vectors

ByteForm form() { return {}; }
ByteProductFn function() { return nullptr; }

#endif

}  // namespace treadle::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace treadle::cpu {

ByteForm byte_form() { return TREADLE_DISPATCH_BYTES(form)(); }
ByteProductFn byte_product_function() { return TREADLE_DISPATCH_BYTES(function)(); }

}  // namespace treadle::cpu
#endif

#include "backends/cpu/simd/byte_product.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/simd/byte_product.cc"
#include <hwy/foreach_target.h>

#include "backends/cpu/simd/byte_store.h"
#include "backends/cpu/simd/byte_tiles.h"
#include "backends/cpu/simd/math.h"
#include "backends/cpu/simd/simd.h"

HWY_BEFORE_NAMESPACE();
namespace treadle::cpu::HWY_NAMESPACE {

#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3

constexpr bool kSteps = HWY_TARGET == HWY_AVX2;
constexpr size_t kRows = 6;
constexpr size_t kVectors = kSteps ? 2 : 4;
constexpr size_t kVectorBytes = hn::MaxLanes(d);

// Those of a tile's columns.
struct Weights {
  const std::byte* quads;
  size_t step;  // bytes from a quad to the next
  const ByteSteps* steps;
  const uint32_t* offsets;
};

HWY_INLINE V32 load_word(const uint8_t* from) {
  int32_t word;
  std::memcpy(&word, from, sizeof(word));
  return hn::Set(d32, word);
}

#if HWY_TARGET == HWY_AVX2
// add(a word of each row, the weights for it, the sum).
template <size_t kRowsNow, size_t kVectorsNow, class F>
HWY_INLINE void add_steps(const uint8_t* const* a, const uint32_t* offsets, size_t count,
                          const std::byte* weights, size_t step, Tile<kRowsNow, kVectorsNow>& sums,
                          const F& add) {
  for (size_t i = 0; i < count; ++i, weights += step) {
    const size_t offset = offsets[i];
    V32 w[kVectorsNow];
#pragma GCC unroll 4
    for (size_t v = 0; v < kVectorsNow; ++v)
      w[v] = hn::LoadU(d32, reinterpret_cast<const int32_t*>(weights) + v * kLanes);
#pragma GCC unroll 6
    for (size_t r = 0; r < kRowsNow; ++r) {
      const V32 x = load_word(a[r] + offset);
#pragma GCC unroll 4
      for (size_t v = 0; v < kVectorsNow; ++v) sums[r][v] = add(x, w[v], sums[r][v]);
    }
  }
}

template <size_t kRowsNow, size_t kVectorsNow>
HWY_INLINE void add_products(const ByteBlock& g, size_t row, const Weights& w,
                             Tile<kRowsNow, kVectorsNow>& sums) {
  const uint8_t* a[kRowsNow];
  std::copy_n(g.parts + row, kRowsNow, a);
  const ByteSteps& steps = *w.steps;
  add_steps<kRowsNow, kVectorsNow>(a, w.offsets, steps.quads, w.quads, w.step, sums,
                                   [](V32 x, V32 weights, V32 sum)
                                       HWY_ATTR { return add_quads(x, weights, sum); });
  add_steps<kRowsNow, kVectorsNow>(
      a, w.offsets + steps.quads, steps.pairs, w.quads + steps.quads * w.step, w.step, sums,
      [](V32 x, V32 weights, V32 sum) HWY_ATTR { return add_words(x, weights, sum); });
}
#else
template <size_t kRowsNow, size_t kVectorsNow, bool kFlip>
HWY_INLINE void add_parts(const ByteBlock& g, size_t row, const Weights& w,
                          Tile<kRowsNow, kVectorsNow>& sums) {
  const std::byte* weights = w.quads;
  const uint8_t* const* parts = g.parts + row * g.count;
  const auto flip = hn::Set(d, 0x80);
  for (size_t p = 0; p < g.count; ++p) {
    const uint8_t* a[kRowsNow];
#pragma GCC unroll 6
    for (size_t r = 0; r < kRowsNow; ++r) a[r] = parts[r * g.count + p];
    if (std::all_of(a, a + kRowsNow, [&](const uint8_t* x) { return x == g.zeros; })) {
      weights += g.quads * w.step;
      continue;
    }
    for (size_t q = 0; q < g.quads; ++q, weights += w.step) {
      V32 b[kVectorsNow];
#pragma GCC unroll 4
      for (size_t v = 0; v < kVectorsNow; ++v)
        b[v] = hn::LoadU(d32, reinterpret_cast<const int32_t*>(weights) + v * kLanes);
#pragma GCC unroll 6
      for (size_t r = 0; r < kRowsNow; ++r) {
        V32 x = load_word(a[r] + q * 4);
        if constexpr (kFlip) x = hn::BitCast(d32, hn::Xor(hn::BitCast(d, x), flip));
#pragma GCC unroll 4
        for (size_t v = 0; v < kVectorsNow; ++v) sums[r][v] = add_words(x, b[v], sums[r][v]);
      }
    }
  }
}
template <size_t kRowsNow, size_t kVectorsNow>
HWY_INLINE void add_products(const ByteBlock& g, size_t row, const Weights& weights,
                             Tile<kRowsNow, kVectorsNow>& sums) {
  if (g.flip) {
    add_parts<kRowsNow, kVectorsNow, true>(g, row, weights, sums);
  } else {
    add_parts<kRowsNow, kVectorsNow, false>(g, row, weights, sums);
  }
}
#endif

template <Mode kMode, size_t kRowsNow, size_t kVectorsNow>
HWY_NOINLINE void tile(const ByteBlock& g, size_t row, const Place& at, const Weights& weights) {
  Tile<kRowsNow, kVectorsNow> sums;
#pragma GCC unroll 6
  for (size_t r = 0; r < kRowsNow; ++r) {
#pragma GCC unroll 4
    for (size_t v = 0; v < kVectorsNow; ++v)
      sums[r][v] = hn::LoadU(d32, g.starts + at.column + v * kLanes);
  }
  add_products<kRowsNow, kVectorsNow>(g, row, weights, sums);
  store<kMode, kRowsNow, kVectorsNow>(g, at, sums);
}

using TileFn = void (*)(const ByteBlock& g, size_t row, const Place& at, const Weights& weights);
template <Mode kMode, size_t kVectorsNow, size_t... kRow>
constexpr std::array<TileFn, kRows> tiles(std::index_sequence<kRow...>) {
  return {tile<kMode, kRow + 1, kVectorsNow>...};
}

// Columns that tiles of so many vectors take.
template <size_t kVectorsNow>
void multiply_columns(const ByteBlock& g, size_t column, size_t columns, const Weights& weights) {
  using Rows = std::make_index_sequence<kRows>;
  static constexpr std::array<TileFn, kRows> kTiles[kModes] = {
      tiles<Mode::kFloats, kVectorsNow>(Rows()), tiles<Mode::kBytes, kVectorsNow>(Rows()),
      tiles<Mode::kSums, kVectorsNow>(Rows())};
  const Mode mode = mode_of(g);
  const auto& tiles_now = kTiles[static_cast<size_t>(mode)];
  constexpr size_t kWhole = kVectorsNow * kLanes;
  for_equal_pieces(g.rows, kRows, [&](size_t row, size_t rows) {
    with_place<kRows, kWhole>(g, mode, {row, rows, column, columns},
                              [&](const Place& at) { tiles_now[rows - 1](g, row, at, weights); });
  });
}

Weights weights_of(const ByteBlock& g, size_t block, size_t before, size_t step) {
  if (!kSteps) return {g.weights + before, step, nullptr, nullptr};
  const ByteSteps& steps = g.steps[block];
  return {g.weights + steps.at, step, &steps,
          reinterpret_cast<const uint32_t*>(g.weights + steps.offsets)};
}

void multiply(const ByteBlock& g) {
  constexpr size_t kBlock = kVectors * kLanes;
  for (size_t column = 0, before = 0; column < g.columns; column += kBlock) {
    const size_t end = std::min(g.columns, column + kBlock);
    const size_t vectors = (end - column + kLanes - 1) / kLanes, step = vectors * kVectorBytes;
    Weights weights = weights_of(g, column / kBlock, before, step);
    for (size_t v = 0, n; v < vectors; v += n) {
      n = vectors - v >= kVectors ? kVectors : std::min<size_t>(vectors - v, 2);
      const auto multiply_now = n == 1   ? multiply_columns<1>
                                : n == 2 ? multiply_columns<2>
                                         : multiply_columns<kVectors>;
      const size_t c = column + v * kLanes;
      multiply_now(g, c, std::min(end - c, n * kLanes), weights);
      weights.quads += n * kVectorBytes;
    }
    before += step * g.count * g.quads;
  }
}

void copy(const ByteCopy& c) {
  constexpr hn::Half<D> half;
  const auto flips = hn::Set(half, c.flip);
  for (size_t i = 0; i < c.rows * c.count; ++i) {
    uint8_t* row = c.to + i / c.count * c.step;
    const size_t at = i % c.count * c.part_bytes;
    auto* wide = reinterpret_cast<int16_t*>(row + c.count * c.part_bytes) + at;
    copy_pieces(
        half, c.part_bytes,
        [&](size_t b) HWY_ATTR {
          const auto x = hn::Xor(hn::LoadU(half, c.parts[i] + b), flips);
          hn::StoreU(x, half, row + at + b);
          hn::StoreU(hn::PromoteTo(d16, x), d16, wide + b);
        },
        [&](size_t b) { wide[b] = row[at + b] = c.parts[i][b] ^ c.flip; });
  }
}

ByteProductFunctions functions() {
  return {{kLanes, kVectors * kLanes, kRows, kSteps ? ByteKind::kSteps : ByteKind::kParts},
          multiply,
          copy};
}

#else  // no vectors

ByteProductFunctions functions() { return {}; }

#endif

}  // namespace treadle::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace treadle::cpu {

ByteProductFunctions byte_product_functions() {
  if (chosen_target() == SimdTarget::kAvx512Amx) return byte_tile_functions();
  return TREADLE_DISPATCH_BYTES(functions)();
}

}  // namespace treadle::cpu
#endif

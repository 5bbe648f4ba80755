#include "backends/cpu/simd/byte_winograd.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/simd/byte_winograd.cc"
#include <hwy/foreach_target.h>

#include "backends/cpu/simd/byte_store.h"
#include "backends/cpu/simd/math.h"
#include "backends/cpu/simd/simd.h"

HWY_BEFORE_NAMESPACE();
namespace treadle::cpu::HWY_NAMESPACE {

#if HWY_TARGET == HWY_AVX2

constexpr size_t kSide = 4, kOut = 2;  // of a tile, and of its results
using V16 = hn::Vec<decltype(d16)>;

template <class V>
HWY_INLINE void transform_input(const V* x, V* y) {
  y[0] = hn::Sub(x[0], x[2]);
  y[1] = hn::Add(x[1], x[2]);
  y[2] = hn::Sub(x[2], x[1]);
  y[3] = hn::Sub(x[1], x[3]);
}
template <class V>
HWY_INLINE void transform_output(const V* x, V* y) {
  y[0] = hn::Add(hn::Add(x[0], x[1]), x[2]);
  y[1] = hn::Sub(hn::Sub(x[1], x[2]), x[3]);
}

void input_vector(const ByteTile& t, size_t c) {
  constexpr hn::Rebind<uint8_t, decltype(d16)> half;
  const auto flip = hn::Set(half, t.flip);
  const V16 zero = hn::Set(d16, t.zero);
  V16 columns[kSide][kSide];  // [column][row]
#pragma GCC unroll 4
  for (size_t j = 0; j < kSide; ++j) {
    V16 x[kSide];
#pragma GCC unroll 4
    for (size_t i = 0; i < kSide; ++i) {
      const uint8_t* pixel = t.pixels[i * kSide + j];
      x[i] = pixel == nullptr
                 ? hn::Zero(d16)
                 : hn::Sub(hn::PromoteTo(d16, hn::Xor(hn::LoadU(half, pixel + c), flip)), zero);
    }
    transform_input(x, columns[j]);
  }
#pragma GCC unroll 4
  for (size_t i = 0; i < kSide; ++i) {
    V16 x[kSide], y[kSide];
#pragma GCC unroll 4
    for (size_t j = 0; j < kSide; ++j) x[j] = columns[j][i];
    transform_input(x, y);
#pragma GCC unroll 4
    for (size_t j = 0; j < kSide; ++j)
      hn::StoreU(y[j], d16, t.out + (i * kSide + j) * t.stride + c);
  }
}

// The last vector overlaps the one before it.
void input_tile(const ByteTile& t) {
  const size_t lanes = hn::Lanes(d16);
  size_t c = 0;
  for (; c + lanes <= t.channels; c += lanes) input_vector(t, c);
  if (c < t.channels) input_vector(t, t.channels - lanes);
}

constexpr size_t kPairRows = 6, kPairVectors = 2, kPairBlock = kPairVectors * kLanes;

template <size_t kRowsNow>
HWY_NOINLINE void pair_tile(const PairBlock& g, size_t row, size_t column) {
  V32 sums[kRowsNow][kPairVectors];
#pragma GCC unroll 6
  for (size_t r = 0; r < kRowsNow; ++r) {
#pragma GCC unroll 2
    for (size_t v = 0; v < kPairVectors; ++v) sums[r][v] = hn::Zero(d32);
  }
  const int16_t* a = g.a + row * g.a_stride;
  const auto* weights = reinterpret_cast<const int32_t*>(g.weights) + column * g.words;
  for (size_t k = 0; k < g.words; ++k, a += 2, weights += kPairBlock) {
    V32 w[kPairVectors];
#pragma GCC unroll 2
    for (size_t v = 0; v < kPairVectors; ++v) w[v] = hn::LoadU(d32, weights + v * kLanes);
#pragma GCC unroll 6
    for (size_t r = 0; r < kRowsNow; ++r) {
      int32_t word;
      std::memcpy(&word, a + r * g.a_stride, sizeof(word));
      const V32 x = hn::Set(d32, word);
#pragma GCC unroll 2
      for (size_t v = 0; v < kPairVectors; ++v) sums[r][v] = add_words(x, w[v], sums[r][v]);
    }
  }
#pragma GCC unroll 6
  for (size_t r = 0; r < kRowsNow; ++r) {
#pragma GCC unroll 2
    for (size_t v = 0; v < kPairVectors; ++v)
      hn::StoreU(sums[r][v], d32, g.y + (row + r) * g.y_stride + column + v * kLanes);
  }
}

using PairTileFn = void (*)(const PairBlock& g, size_t row, size_t column);
template <size_t... kRow>
constexpr std::array<PairTileFn, kPairRows> pair_tiles(std::index_sequence<kRow...>) {
  return {pair_tile<kRow + 1>...};
}

void multiply_pairs(const PairBlock& g) {
  static constexpr auto kTiles = pair_tiles(std::make_index_sequence<kPairRows>());
  for (size_t column = 0; column < g.columns; column += kPairBlock) {
    for_equal_pieces(g.rows, kPairRows,
                     [&](size_t row, size_t rows) { kTiles[rows - 1](g, row, column); });
  }
}

template <Mode kMode, size_t kVectorsNow>
HWY_INLINE void output_vectors(const ByteTileSums& t, size_t c) {
  V32 results[kOut][kOut][kVectorsNow];  // [row][column]
#pragma GCC unroll 2
  for (size_t v = 0; v < kVectorsNow; ++v) {
    V32 columns[kSide][kOut];
#pragma GCC unroll 4
    for (size_t j = 0; j < kSide; ++j) {
      V32 x[kSide];
#pragma GCC unroll 4
      for (size_t i = 0; i < kSide; ++i)
        x[i] = hn::LoadU(d32, t.in + (i * kSide + j) * t.stride + c + v * kLanes);
      transform_output(x, columns[j]);
    }
#pragma GCC unroll 2
    for (size_t i = 0; i < kOut; ++i) {
      V32 x[kSide], y[kOut];
#pragma GCC unroll 4
      for (size_t j = 0; j < kSide; ++j) x[j] = columns[j][i];
      transform_output(x, y);
      for (size_t j = 0; j < kOut; ++j) results[i][j][v] = hn::ShiftRight<2>(y[j]);
    }
  }
  const ByteBlock& g = *t.block;
  constexpr size_t kSize = kMode == Mode::kFloats ? sizeof(float) : 1;
  for (size_t i = 0; i < t.tile_rows; ++i) {
    for (size_t j = 0; j < t.tile_columns; ++j) {
      const size_t to = i * t.row_stride + j * g.y_stride + c;
      const Place at{c, static_cast<std::byte*>(g.y) + to * kSize,
                     kMode == Mode::kSums ? g.levels->plus + to : nullptr, 0};
      Tile<1, kVectorsNow> row;
      std::copy_n(results[i][j], kVectorsNow, row[0]);
      store<kMode, 1, kVectorsNow>(g, at, row);
    }
  }
}

template <Mode kMode>
void output_columns(const ByteTileSums& t) {
  for (size_t c = 0; c < t.block->columns; c += kPairBlock)
    output_vectors<kMode, kPairVectors>(t, c);
}

void output_tile(const ByteTileSums& t) {
  switch (mode_of(*t.block)) {
    case Mode::kFloats: return output_columns<Mode::kFloats>(t);
    case Mode::kBytes: return output_columns<Mode::kBytes>(t);
    case Mode::kSums: return output_columns<Mode::kSums>(t);
  }
}

ByteWinogradFunctions winograd_functions_of_bytes() {
  return {input_tile, multiply_pairs, output_tile, hn::Lanes(d16), kPairRows, kPairBlock};
}

#else  // no pairs

ByteWinogradFunctions winograd_functions_of_bytes() { return {}; }

#endif

}  // namespace treadle::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace treadle::cpu {

ByteWinogradFunctions byte_winograd_functions() {
  return TREADLE_DISPATCH_BYTES(winograd_functions_of_bytes)();
}

}  // namespace treadle::cpu
#endif

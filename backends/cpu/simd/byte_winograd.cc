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

#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3

using V16 = hn::Vec<decltype(d16)>;

template <class V>
HWY_INLINE V twice(V x) {
  return hn::Add(x, x);
}
template <class V>
HWY_INLINE V thrice(V x) {
  return hn::Add(twice(x), x);
}
// Of an odd number, modulo 2^32.
constexpr int32_t inverse(uint32_t of) {
  uint32_t x = of;  // right in 3 bits; each step doubles them
  for (int i = 0; i < 4; ++i) x *= 2 - of * x;
  return static_cast<int32_t>(x);
}
template <uint32_t kDivisor>
HWY_INLINE V32 divide(V32 x) {
  constexpr int32_t kFactor = inverse(kDivisor);
  return hn::Mul(x, hn::Set(d32, kFactor));
}

// One dimension of each transform; results come out twice what they are.
struct F2 {
  static constexpr size_t kOut = 2, kIn = 4;
  static constexpr WindowFactors kWindows[kIn] = {{2, 0, 0}, {1, 1, 1}, {1, -1, 1}, {0, 0, 2}};
  static HWY_INLINE void input(const V16* x, V16* y) {
    y[0] = hn::Sub(x[0], x[2]);
    y[1] = hn::Add(x[1], x[2]);
    y[2] = hn::Sub(x[2], x[1]);
    y[3] = hn::Sub(x[1], x[3]);
  }
  static HWY_INLINE void output(const V32* x, V32* y) {
    y[0] = hn::Add(hn::Add(x[0], x[1]), x[2]);
    y[1] = hn::Sub(hn::Sub(x[1], x[2]), x[3]);
  }
};

struct F4 {
  static constexpr size_t kOut = 4, kIn = 6;
  static constexpr WindowFactors kWindows[kIn] = {{1, 0, 0}, {1, 1, 1},  {1, -1, 1},
                                                  {1, 2, 4}, {4, -2, 1}, {0, 0, 1}};
  static HWY_INLINE void input(const V16* x, V16* y) {
    const V16 even = hn::Sub(x[4], x[2]), odd = hn::Sub(x[3], x[1]);
    const V16 even2 = twice(even), odd2 = twice(odd);
    const V16 high = hn::Sub(even2, thrice(x[3])), low = hn::Sub(thrice(x[2]), odd2);
    y[0] = hn::Sub(hn::Add(twice(hn::Sub(x[0], x[2])), even2), hn::Add(odd2, odd));
    y[1] = hn::Sub(high, low);
    y[2] = hn::Add(high, low);
    y[3] = hn::Add(even2, odd);
    y[4] = hn::Sub(even, odd2);
    y[5] = hn::Sub(hn::Sub(twice(hn::Sub(x[5], x[3])), odd2), hn::Add(even2, even));
  }
  static HWY_INLINE void output(const V32* x, V32* y) {
    const V32 difference = divide<3>(hn::Sub(x[2], x[1])), sum = divide<3>(hn::Add(x[1], x[2]));
    const V32 two = divide<15>(x[3]), half = divide<15>(x[4]);
    y[0] = hn::Add(hn::Add(x[0], difference), hn::Sub(two, hn::ShiftLeft<3>(half)));
    y[1] = hn::Sub(twice(hn::Add(two, twice(half))), sum);
    y[2] = hn::Add(twice(hn::Sub(twice(two), half)), difference);
    y[3] = hn::Add(hn::Sub(hn::Add(hn::ShiftLeft<3>(two), half), sum), x[5]);
  }
};

template <class F>
void input_vector(const ByteTile& t, size_t c) {
  constexpr size_t n = F::kIn;
  constexpr hn::Rebind<uint8_t, decltype(d16)> half;
  const auto flip = hn::Set(half, t.flip);
  const V16 zero = hn::Set(d16, t.zero);
  V16 columns[n][n];  // [column][row]
#pragma GCC unroll 6
  for (size_t j = 0; j < n; ++j) {
    V16 x[n];
#pragma GCC unroll 6
    for (size_t i = 0; i < n; ++i) {
      const uint8_t* pixel = t.pixels[i * n + j];
      x[i] = pixel == nullptr
                 ? hn::Zero(d16)
                 : hn::Sub(hn::PromoteTo(d16, hn::Xor(hn::LoadU(half, pixel + c), flip)), zero);
    }
    F::input(x, columns[j]);
  }
#pragma GCC unroll 6
  for (size_t i = 0; i < n; ++i) {
    V16 x[n], y[n];
#pragma GCC unroll 6
    for (size_t j = 0; j < n; ++j) x[j] = columns[j][i];
    F::input(x, y);
#pragma GCC unroll 6
    for (size_t j = 0; j < n; ++j) hn::StoreU(y[j], d16, t.out + (i * n + j) * t.stride + c);
  }
}

// The last vector overlaps the one before it.
template <class F>
void input_tile(const ByteTile& t) {
  const size_t lanes = hn::Lanes(d16);
  size_t c = 0;
  for (; c + lanes <= t.channels; c += lanes) input_vector<F>(t, c);
  if (c < t.channels) input_vector<F>(t, t.channels - lanes);
}

constexpr size_t kPairRows = HWY_TARGET == HWY_AVX3 ? 12 : 6;
constexpr size_t kPairVectors = 2, kPairBlock = kPairVectors * kLanes;

template <size_t kRowsNow>
HWY_NOINLINE void pair_tile(const PairBlock& g, size_t row, size_t column) {
  V32 sums[kRowsNow][kPairVectors];
#pragma GCC unroll 12
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
#pragma GCC unroll 12
    for (size_t r = 0; r < kRowsNow; ++r) {
      int32_t word;
      std::memcpy(&word, a + r * g.a_stride, sizeof(word));
      const V32 x = hn::Set(d32, word);
#pragma GCC unroll 2
      for (size_t v = 0; v < kPairVectors; ++v) sums[r][v] = add_pairs(x, w[v], sums[r][v]);
    }
  }
#pragma GCC unroll 12
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

// Where a tile's pixels go, from a block of channels on.
struct Pixels {
  std::byte* y;
  const uint8_t* plus;
  size_t row_stride, pixel_stride;
};
template <Mode kMode>
constexpr size_t kSizeOf = kMode == Mode::kFloats ? sizeof(float) : 1;

template <class F, Mode kMode>
HWY_INLINE void output_vectors(const ByteTileSums& t, size_t c, const Pixels& to) {
  constexpr size_t n = F::kIn, m = F::kOut;
  V32 columns[kPairVectors][n][m];
#pragma GCC unroll 2
  for (size_t v = 0; v < kPairVectors; ++v) {
#pragma GCC unroll 6
    for (size_t j = 0; j < n; ++j) {
      V32 x[n];
#pragma GCC unroll 6
      for (size_t i = 0; i < n; ++i)
        x[i] = hn::LoadU(d32, t.in + (i * n + j) * t.stride + c + v * kLanes);
      F::output(x, columns[v][j]);
    }
  }
  const ByteBlock& g = *t.block;
#pragma GCC unroll 4
  for (size_t i = 0; i < m; ++i) {
    if (i >= t.tile_rows) break;
    Tile<1, kPairVectors> pixels[m];
#pragma GCC unroll 2
    for (size_t v = 0; v < kPairVectors; ++v) {
      V32 x[n], y[m];
#pragma GCC unroll 6
      for (size_t j = 0; j < n; ++j) x[j] = columns[v][j][i];
      F::output(x, y);
#pragma GCC unroll 4
      for (size_t j = 0; j < m; ++j)
        pixels[j][0][v] =
            hn::Add(hn::ShiftRight<2>(y[j]), hn::LoadU(d32, g.starts + c + v * kLanes));
    }
#pragma GCC unroll 4
    for (size_t j = 0; j < m; ++j) {
      if (j >= t.tile_columns) break;
      const size_t pixel = i * to.row_stride + j * to.pixel_stride;
      const Place at{c, to.y + pixel * kSizeOf<kMode>,
                     kMode == Mode::kSums ? to.plus + pixel : nullptr, 0};
      store<kMode, 1, kPairVectors>(g, at, pixels[j]);
    }
  }
}

// copy(where a pixel of the output lies, where in memory of a block for each).
template <class F, class Copy>
HWY_INLINE void for_each_pixel(const ByteTileSums& t, const Copy& copy) {
  for (size_t i = 0; i < std::min(t.tile_rows, F::kOut); ++i) {
    for (size_t j = 0; j < std::min(t.tile_columns, F::kOut); ++j)
      copy(i * t.row_stride + j * t.block->y_stride, (i * F::kOut + j) * kPairBlock);
  }
}

// A block that is not full, by way of copies.
template <class F, Mode kMode>
void output_part(const ByteTileSums& t, size_t c, const Pixels& to) {
  constexpr size_t kCells = F::kOut * F::kOut * kPairBlock, kSize = kSizeOf<kMode>;
  const size_t count = t.block->columns - c;
  alignas(64) std::byte y[kCells * kSize];
  alignas(64) uint8_t plus[kCells];
  if constexpr (kMode == Mode::kSums) {
    for_each_pixel<F>(
        t, [&](size_t pixel, size_t copy) { std::memcpy(plus + copy, to.plus + pixel, count); });
  }
  output_vectors<F, kMode>(t, c, {y, plus, F::kOut * kPairBlock, kPairBlock});
  for_each_pixel<F>(t, [&](size_t pixel, size_t copy) {
    std::memcpy(to.y + pixel * kSize, y + copy * kSize, count * kSize);
  });
}

template <class F, Mode kMode>
void output_columns(const ByteTileSums& t) {
  const ByteBlock& g = *t.block;
  for (size_t c = 0; c < g.columns; c += kPairBlock) {
    const Pixels to{static_cast<std::byte*>(g.y) + c * kSizeOf<kMode>,
                    kMode == Mode::kSums ? g.levels->plus + c : nullptr, t.row_stride, g.y_stride};
    if (c + kPairBlock <= g.columns) {
      output_vectors<F, kMode>(t, c, to);
    } else {
      output_part<F, kMode>(t, c, to);
    }
  }
}

template <class F>
void output_tile(const ByteTileSums& t) {
  switch (mode_of(*t.block)) {
    case Mode::kFloats: return output_columns<F, Mode::kFloats>(t);
    case Mode::kBytes: return output_columns<F, Mode::kBytes>(t);
    case Mode::kSums: return output_columns<F, Mode::kSums>(t);
  }
}

template <class F>
ByteWinogradFunctions winograd_functions_of_bytes() {
  return {.input = input_tile<F>,
          .multiply = multiply_pairs,
          .output = output_tile<F>,
          .windows = F::kWindows,
          .lanes = hn::Lanes(d16),
          .rows = kPairRows,
          .block = kPairBlock,
          .bytes_at_once = HWY_TARGET == HWY_AVX3 ? 2 : 1};
}
ByteWinogradFunctions byte_winograd_table(int64_t m) {
  return m == 2 ? winograd_functions_of_bytes<F2>() : winograd_functions_of_bytes<F4>();
}

#else  // no pairs

ByteWinogradFunctions byte_winograd_table(int64_t) { return {}; }

#endif

}  // namespace treadle::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace treadle::cpu {

ByteWinogradFunctions byte_winograd_functions(int64_t m) {
  return TREADLE_DISPATCH_BYTES(byte_winograd_table)(m);
}

}  // namespace treadle::cpu
#endif

// Winograd's convolution F(m x m, 3 x 3) of bytes, m = 2 or 4, in integers: the elements of pixels
// and of windows are exact in 16 bits, their sums in 32 bits, where they wrap around and come back.
// Channels lie innermost.
//
// One dimension of F(2, 3) interpolates at 0, ±1, ∞ and of F(4, 3) at 0, ±1, 2, -1/2, ∞, where
// forms of integers (p x - q y for q/p) divide the results by 2, 6 and 30: but for one factor of 2,
// odd numbers, by which integers of 32 bits divide by a product. So results come out four times
// what they are, and two bits are all that is lost. (Points and forms: Lavin and Gray,
// arXiv:1509.09308; Barabasz et al., arXiv:1803.10986.)
#pragma once

#include <array>

#include "backends/cpu/simd/byte_product.h"

namespace treadle::cpu {

// A tile of (m+2) x (m+2) pixels becomes as many elements, each a row of channels. Of bytes around
// their zero point they are at most 4 · 255 (m = 2) and 98 · 255 (m = 4).
struct ByteTile {
  const uint8_t* const* pixels;  // [(m+2)²], row by row; null in the padding
  size_t channels;               // at least ByteWinogradFunctions::lanes
  uint8_t flip;                  // of the pixels
  int16_t zero;                  // of the flipped
  int16_t* out;                  // element e lies at out + e * stride
  size_t stride;
};

// y[rows, columns] = a · weights of 16 bits, packed two rows at a time (a word), in blocks of
// `block` columns, each as [word][column][2].
struct PairBlock {
  const int16_t* a;
  size_t a_stride;
  size_t words;
  const std::byte* weights;
  size_t rows;
  size_t columns;  // whole blocks
  int32_t* y;      // that may have wrapped around
  size_t y_stride;
};

// The sums of a tile, in (m+2)² elements, become its results: integers of 32 bits that wrap around,
// which four times the results do not.
struct ByteTileSums {
  const int32_t* in;  // element e lies at in + e * stride
  size_t stride;
  // Of what becomes of the sums: starts, scales, biases (in whole blocks), columns, levels; y and
  // plus of the first pixel. Those of a row lie beside each other.
  const ByteBlock* block;
  size_t row_stride;  // of y and plus, in elements
  size_t tile_rows;   // that lie within the output
  size_t tile_columns;
};

// A dimension of windows: element i is the sum of factors[i] · three weights.
using WindowFactors = std::array<int8_t, 3>;

struct ByteWinogradFunctions {
  void (*input)(const ByteTile& tile);
  void (*multiply)(const PairBlock& block);
  void (*output)(const ByteTileSums& tile);
  const WindowFactors* windows;  // [m+2]
  size_t lanes;                  // channels that are transformed at once
  size_t rows;                   // that are multiplied at once
  size_t block;
  // Multiplications of bytes (simd/byte_product.h) in the time of one of 16 bits.
  size_t bytes_at_once;
};
// `m` is 2 or 4. No lanes where there are none.
ByteWinogradFunctions byte_winograd_functions(int64_t m);

}  // namespace treadle::cpu

// The transforms of Winograd's convolution F(2x2, 3x3) of bytes, in integers of 16 bits: sums are
// exact. For AVX2, which multiplies bytes little faster. Channels lie innermost.
#pragma once

#include "backends/cpu/simd/byte_product.h"

namespace treadle::cpu {

inline constexpr size_t kTileElements = 16;  // of 4x4 pixels

// A tile of pixels becomes as many elements, each a row of channels. Of bytes around their zero
// point they are at most 1020.
struct ByteTile {
  const uint8_t* const* pixels;  // [kTileElements], row by row; null in the padding
  size_t channels;               // at least byte_winograd_functions().lanes
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

// Four times the sums of a tile of 2x2 pixels, in elements, become its results: integers of 32 bits
// that wrap around, which those of the results do not.
struct ByteTileSums {
  const int32_t* in;  // element e lies at in + e * stride
  size_t stride;
  // Of what becomes of the sums: scales, biases, columns (in whole blocks), levels; y and plus of
  // the first pixel. Those of a row lie beside each other.
  const ByteBlock* block;
  size_t row_stride;  // of y and plus, in elements
  size_t tile_rows;   // that lie within the output
  size_t tile_columns;
};

struct ByteWinogradFunctions {
  void (*input)(const ByteTile& tile);
  void (*multiply)(const PairBlock& block);
  void (*output)(const ByteTileSums& tile);
  size_t lanes;  // channels that are transformed at once
  size_t rows;   // that are multiplied at once
  size_t block;
};
// No lanes where there are none.
ByteWinogradFunctions byte_winograd_functions();

}  // namespace treadle::cpu

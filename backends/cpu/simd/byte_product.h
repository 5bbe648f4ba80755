// Products of rows of bytes with int8 weights, to floats or to bytes, for the instruction set of
// the machine.
#pragma once

#include <cstddef>
#include <cstdint>

namespace treadle::cpu {

// How rows of a come, and what weights they meet.
enum class ByteKind : uint8_t {
  kParts,  // in parts, anywhere
  // Copied, where there is no VNNI. There AVX2 adds up two products of bytes in 16 bits, which hold
  // them where the sum of the two weights is at most 128 in size: 255 · 128 < 2^15, and weights of
  // different signs take less. So steps are of two kinds: quads that stay within, and pairs, two
  // rows widened to int16. Rows of a are copied both ways.
  kSteps,
  kTiles,  // equally far apart, in tiles of AMX: weights have rows of zeros behind them
};

// How weights are packed: four rows of them at a time (a quad), in blocks of `block` columns, the
// last one of fewer vectors, each as [quad][column][4], or in steps.
struct ByteForm {
  static constexpr int64_t kQuad = 4;
  static constexpr int kMostOfPair = 128;
  static constexpr int64_t kTileBytes = 64;  // of a row of a, at most
  size_t lanes;                              // columns of a vector; 0: there are no such products
  size_t block;                              // columns, a multiple of lanes
  size_t rows;                               // that are multiplied at once
  ByteKind kind;

  // Of a tile's rows, for rows of so many bytes: tiles of equal size hold them with the fewest
  // bytes behind them.
  static constexpr int64_t tile_bytes(int64_t depth) {
    const int64_t tiles = (depth + kTileBytes - 1) / kTileBytes;
    const int64_t bytes = (depth + tiles - 1) / tiles;
    return (bytes + kQuad - 1) / kQuad * kQuad;
  }
  // Rows of weights for so many of a.
  constexpr int64_t weight_rows(int64_t depth) const {
    if (kind != ByteKind::kTiles) return depth;
    const int64_t bytes = tile_bytes(depth);
    return (depth + bytes - 1) / bytes * bytes;
  }
  // Bytes of the copy of a row: in steps followed by its int16, for tiles in whole lines.
  constexpr int64_t copy_bytes(int64_t depth) const {
    if (kind == ByteKind::kParts) return 0;
    if (kind == ByteKind::kSteps) return 3 * depth;
    return (weight_rows(depth) + kTileBytes - 1) / kTileBytes * kTileBytes;
  }
};

// The steps of a block, quads before pairs: for each the place in a row's copy, and the weights of
// the columns, 4 bytes of each. Places are bytes from ByteBlock::weights on.
struct ByteSteps {
  uint64_t offsets;  // where uint32 begin, in bytes
  uint64_t at;       // where weights begin
  uint64_t quads;
  uint64_t pairs;
};

// How bytes stand for numbers, as int8, and what is added to them.
struct ByteLevels {
  int16_t zero;  // of them as int8
  uint8_t flip;  // makes int8 of them
  // As y, and may be y; null: none. Y is zero + (the product, within [low, high] and rounded, +
  // product_zero) · factor + (the bytes of plus · plus_factor + term).
  const uint8_t* plus = nullptr;
  float low = 0, high = 0, product_zero = 0;
  float factor = 1, plus_factor = 0, term = 0;
};

// y[rows, columns] = scales · (starts + a · weights) + biases, one of each a column, in vectors.
// Sums are integers of 32 bits. A row of a is in parts.
struct ByteBlock {
  // [rows][count]: where they lie. Of copies, and in tiles: [rows].
  const uint8_t* const* parts;
  const uint8_t* zeros;  // parts that lie here add nothing; null: none
  size_t count;
  size_t quads;  // of a part
  bool flip;     // a is int8: 128 more than what is multiplied; copies are flipped
  const std::byte* weights;
  const ByteSteps* steps;  // of each block
  const int32_t* starts;
  const float* scales;
  const float* biases;
  size_t rows;
  size_t columns;
  void* y;
  size_t y_stride;                     // elements
  const ByteLevels* levels = nullptr;  // null: y are floats
};

// Parts of rows of a become the rows' copies, flipped, and in steps their int16.
struct ByteCopy {
  const uint8_t* const* parts;  // [rows][count]
  size_t rows;
  size_t count;
  size_t part_bytes;
  uint8_t flip;
  uint8_t* to;  // of the first row, aligned as int16
  size_t step;  // from a row's to the next
};

struct ByteProductFunctions {
  ByteForm form;
  void (*multiply)(const ByteBlock& block);
  void (*copy)(const ByteCopy& job);  // not of parts
};

// Of the instruction set in use. No lanes where there are no such products.
ByteProductFunctions byte_product_functions();

}  // namespace treadle::cpu

// Products of floats by tiles of AMX, each as three of bfloat16: a float is about the sum of two,
// high + low, and high·high + high·low + low·high are added up in float. What is left out is at
// most 3·2^-18 of |a|·|b|: Henry, Tang and Heinecke, "Leveraging the bfloat16 Artificial Intelligence
// Datatype For Higher-Precision Computations", ARITH 2019.
//
// Where a number is infinite or NaN, or rounds to infinity, so are or become NaN all sums it is in;
// numbers below 2^-126 count as zeros.
#pragma once

#include <cstddef>
#include <cstdint>

namespace treadle::cpu {

inline constexpr size_t kTileOutputs = 16;  // rows of a tile
inline constexpr size_t kTileNumbers = 32;  // of each, at most
inline constexpr size_t kTileColumns = 32;  // of a block of weights, padded with zeros

struct SplitFloats {
  const float* from;
  size_t count;
  uint16_t* high;
  uint16_t* low;
};

// kTileColumns floats of each of 2 · pairs rows; null: zeros. They become [pair][column][2], high
// ones at `to`, low ones behind them.
struct SplitWeights {
  const float* const* rows;
  size_t pairs;
  std::byte* to;
};

// y[outputs, columns] = a · weights + bias (one a column) + plus (as y; it may be y), within
// [low, high].
struct FloatTiles {
  const uint16_t* a;  // high ones, from place `origin` on
  int64_t origin;
  ptrdiff_t low_part;      // from a high one to its low one, in numbers
  size_t row_step;         // from a row of a tile to the next, in numbers
  const int64_t* places;   // where each tile's first row begins
  const int32_t* outputs;  // [tiles][kTileOutputs]: rows of y; -1: of none
  size_t tiles;
  const int64_t* steps;  // numbers from where a row begins to where those of a step do
  size_t step_count;
  size_t numbers;            // of a step, even
  const std::byte* weights;  // of each step, as split
  size_t block_bytes;        // of the weights, from a block of columns to the next
  const float* bias = nullptr;
  const float* plus = nullptr;
  float* y;
  size_t y_stride;  // of `plus` too
  size_t columns;
  float low, high;
};

struct FloatTileFunctions {
  void (*split)(const SplitFloats& job);  // null: there are no tiles
  void (*split_weights)(const SplitWeights& job);
  void (*multiply)(const FloatTiles& job);
};
FloatTileFunctions float_tile_functions();

}  // namespace treadle::cpu

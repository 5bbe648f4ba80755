// Products of floats by tiles of AMX, which multiply bfloat16: a float is the sum of three of them,
// each the next 8 of its 24 bits. Of the nine products of their parts, the six that are not below
// 2^-22 of the whole are added up in float, so that results are as exact as sums of floats: Henry,
// Tang and Heinecke, "Leveraging the bfloat16 Artificial Intelligence Datatype For Higher-Precision
// Computations", ARITH 2019.
//
// Where a number is infinite or NaN, all sums that it is in are NaN; parts below 2^-126 count as
// zeros.
#pragma once

#include <cstddef>
#include <cstdint>

namespace treadle::cpu {

inline constexpr size_t kTileParts = 3;     // of a float
inline constexpr size_t kTileOutputs = 16;  // rows of a tile
inline constexpr size_t kTileNumbers = 32;  // of each, at most
inline constexpr size_t kTileColumns = 32;  // of a block of weights, padded with zeros

// Part i of from[j] becomes to[i · part_step + j].
struct SplitFloats {
  const float* from;
  size_t count;
  uint16_t* to;
  ptrdiff_t part_step;
};

// y[outputs, columns] = a · weights + bias (one a column) + plus (as y; it may be y), within
// [low, high].
struct FloatTiles {
  const uint16_t* a;  // first parts, from place `origin` on
  int64_t origin;
  ptrdiff_t part_step;     // from one part to the next, in numbers
  size_t row_step;         // from a row of a tile to the next, in numbers
  const int64_t* places;   // where each tile's first row begins
  const int32_t* outputs;  // [tiles][kTileOutputs]: rows of y; -1: of none
  size_t tiles;
  const int64_t* steps;  // numbers from where a row begins to where those of a step do
  size_t step_count;
  size_t numbers;        // of a step, even
  const float* weights;  // [step_count · numbers][kTileColumns] of each block of columns
  size_t block_step;     // numbers from one to the next
  std::byte* panels;     // two of kTileParts · step_count · numbers · kTileColumns bfloat16
  const float* bias = nullptr;
  const float* plus = nullptr;
  float* y;
  size_t y_stride;  // of `plus` too
  size_t columns;
  float low, high;
};

struct FloatTileFunctions {
  void (*split)(const SplitFloats& job);  // null: there are no tiles
  void (*multiply)(const FloatTiles& job);
};
FloatTileFunctions float_tile_functions();

}  // namespace treadle::cpu

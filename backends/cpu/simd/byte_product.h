// Products of rows of bytes with int8 weights, to floats or to bytes, for the instruction set of
// the machine.
#pragma once

#include <cstddef>
#include <cstdint>

namespace treadle::cpu {

// How weights are packed: four rows of them at a time (a quad), in blocks of `block` columns, the
// last one of fewer vectors. Of a vector: [column][4] bytes, or as int16 rows 0 and 2 of every
// column and then rows 1 and 3.
struct ByteForm {
  static constexpr int64_t kQuad = 4;
  size_t lanes;  // columns of a vector; 0: there are no such products
  size_t block;  // columns, a multiple of lanes
  size_t rows;   // that are multiplied at once
  bool pairs;    // of int16
};

// How bytes stand for numbers, as int8, and what is added to them.
struct ByteLevels {
  int16_t zero;  // of them as int8
  uint8_t flip;  // makes int8 of them
  // As y, and may be y; null: none. Y is zero + (the product, rounded and within [low, high]) ·
  // factor + what stands in plus · plus_factor + term.
  const uint8_t* plus = nullptr;
  float low = 0, high = 0;
  float factor = 1, plus_factor = 0, term = 0;
};

// y[rows, columns] = scales · (starts + a · weights) + biases, one of each a column, in vectors.
// Sums are integers of 32 bits. A row of a is in parts.
struct ByteBlock {
  const uint8_t* const* parts;  // [rows][count]: where they lie
  // Parts that lie here add nothing: zeros, where those stand for nothing; null: none.
  const uint8_t* zeros;
  size_t count;
  size_t quads;  // of a part
  bool flip;     // a is int8: 128 more than what is multiplied
  const std::byte* weights;
  const int32_t* starts;
  const float* scales;
  const float* biases;
  size_t rows;
  size_t columns;
  void* y;
  size_t y_stride;                     // elements
  const ByteLevels* levels = nullptr;  // null: y are floats
};

using ByteProductFn = void (*)(const ByteBlock& block);

// Of the instruction set in use. Null where there are no such products.
ByteForm byte_form();
ByteProductFn byte_product_function();

}  // namespace treadle::cpu

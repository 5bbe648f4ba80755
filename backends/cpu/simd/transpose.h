// Matrices of 4-byte elements, transposed.
#pragma once

#include <cstddef>
#include <cstdint>

namespace treadle::cpu {

// to[i * to_step + j] = from[j * from_step + i] for i < columns, j < rows. Some may be written
// twice; the two do not overlap.
struct TransposeJob {
  const uint32_t* from;
  size_t from_step;
  uint32_t* to;
  size_t to_step;
  size_t rows;
  size_t columns;
};
using TransposeFn = void (*)(const TransposeJob& job);
TransposeFn transpose_function();

}  // namespace treadle::cpu

// Matrices of elements of 4 bytes or of one, transposed.
#pragma once

#include <cstddef>
#include <cstdint>

namespace treadle::cpu {

// to[i * to_step + j] = from[j * from_step + i] for i < columns, j < rows. Some may be written
// twice; the two do not overlap.
template <class T>
struct TransposeOf {
  const T* from;
  size_t from_step;
  T* to;
  size_t to_step;
  size_t rows;
  size_t columns;
};
using TransposeJob = TransposeOf<uint32_t>;
using TransposeFn = void (*)(const TransposeJob& job);
TransposeFn transpose_function();
// Vectorized for so many and more of both, and for three rows that come to lie densely.
inline constexpr size_t kTransposedBytes = 16;
using TransposeBytesFn = void (*)(const TransposeOf<uint8_t>& job);
TransposeBytesFn transpose_bytes_function();

}  // namespace treadle::cpu

// Functions along an axis: softmax of columns; where the greatest or least of rows and columns is.
#pragma once

#include <cstddef>
#include <cstdint>

#include "backends/cpu/simd/rows.h"

namespace treadle::cpu {

// Of equals the last one or the first. NaN is both greater and less than any number.
struct ArgChoice {
  bool least;
  bool last;
};

// Of columns whose index is looked for so many share a cache.
inline constexpr size_t kArgColumns = 512;

// Columns whose softmax is taken at once are made so many.
inline constexpr size_t kColumnUnit = 16;
constexpr size_t softmax_scratch(size_t rows, size_t columns) {
  return (rows + 2) * ((columns + kColumnUnit - 1) / kColumnUnit * kColumnUnit);
}

// y has the rows and the stride of x, and may be x. The scratch has softmax_scratch(…) floats.
using SoftmaxColumnsFn = void (*)(const Columns& x, float* y, float* scratch);

struct AxisFunctions {
  SoftmaxColumnsFn softmax_columns;
  SoftmaxColumnsFn log_softmax_columns;
  // to[i] = the row of column i that is chosen; indices fit into 32 bits.
  void (*arg_columns)(const Columns& x, const ArgChoice& choice, int64_t* to);
  // Of `rows` rows of n floats, one after another; n is at least 1.
  void (*arg_rows)(const float* x, size_t rows, size_t n, const ArgChoice& choice, int64_t* to);
};
const AxisFunctions& axis_functions();

}  // namespace treadle::cpu

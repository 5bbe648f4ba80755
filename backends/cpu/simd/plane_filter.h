// One row of a convolution of one plane by one window, for the instruction set of the machine.
#pragma once

#include <cstddef>

namespace treadle::cpu {

// y[i] = bias + the sum over rows r and columns c of w[r * columns + c] ·
// x[r * row_step + c * column_step + i], for i < n. As many floats as a vector has may be read
// behind the last of each row.
struct PlaneFilter {
  const float* x;
  size_t row_step;
  size_t column_step;
  const float* w;
  size_t rows;
  size_t columns;
  float bias;
  float* y;
  size_t n;
};

struct PlaneFilterFunction {
  void (*run)(const PlaneFilter& job);
  size_t lanes;
};
PlaneFilterFunction plane_filter_function();

}  // namespace treadle::cpu

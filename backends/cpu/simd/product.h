// Products of two matrices that change from run to run: a panel of columns at a time, whose right
// side is read where it lies or packed on the way.
#pragma once

#include <cstddef>

namespace treadle::cpu {

// y[rows, columns] = scale · a · b, added to what y holds where `add` says so. Element (i, k) of a
// is a[i * a_row + k * a_step]; row k of b begins at b + k * b_step, and a whole panel of columns
// can be read there.
struct ProductBlock {
  const float* a;
  size_t a_row;
  size_t a_step;
  const float* b;
  size_t b_step;
  size_t k;
  float* y;
  size_t y_row;
  size_t rows;
  size_t columns;  // at most a panel
  float scale;
  bool add;
};

// Element (k, n) of the panel's source is from[k * row + n * column].
struct PanelPart {
  const float* from;
  size_t row;
  size_t column;
  size_t k;
  size_t columns;  // 1 to a panel; the others repeat the last
};

struct ProductFunctions {
  size_t panel;
  size_t rows;  // that the inner loop takes at once
  void (*multiply)(const ProductBlock& block);
  void (*pack)(const PanelPart& part, float* to);  // k rows of a panel, one after another
};
const ProductFunctions& product_functions();

}  // namespace treadle::cpu

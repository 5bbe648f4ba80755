// The shape of a product of two matrices, or of many: MatMul, Gemm and what is fused with them.
#pragma once

#include "backends/backend.h"

namespace treadle::cpu {

// Batch dims (1 where broadcast), rows, columns; strides in elements.
struct Matrix {
  Dims dims;
  Dims strides;
};

// y[batch…, m, n] = scale · a·b + addend_scale · addend
struct Product {
  Matrix a;
  Matrix b;
  Dims y;
  float scale = 1;
  float addend_scale = 1;
  int64_t m() const { return y[y.size() - 2]; }
  int64_t n() const { return y.back(); }
  int64_t k() const { return a.dims.back(); }
};

// Of two inputs that are there, under the attributes transA, transB, alpha and beta. A product
// whose right side is one matrix has no batch: the batch dims of `a` become rows where they follow
// each other.
Product product_of(const Attributes& attributes, const Dims& a, const Dims& b);

// Multiplications of so many products of [m, k] by [k, n], which an integer may not hold.
inline double product_work(int64_t count, int64_t m, int64_t n, int64_t k) {
  return static_cast<double>(count) * static_cast<double>(m) * static_cast<double>(n) *
         static_cast<double>(k);
}

}  // namespace treadle::cpu

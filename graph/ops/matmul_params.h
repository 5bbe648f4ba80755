// The product of matrices as MatMul and its kin define it (numpy's matmul), resolved once; and its
// reference loop.
#pragma once

#include <vector>

#include "graph/base/shape.h"

namespace treadle {

// y[batch…, m, n] = a[batch…, m, k] · b[batch…, k, n]; vectors are promoted to matrices.
struct MatMulParams {
  Dims batch;      // broadcast
  Dims a_strides;  // of the batch dims, in elements; 0 where broadcast
  Dims b_strides;
  int64_t m = 1;
  int64_t n = 1;
  int64_t k = 1;
  Dims output;  // without the dims that promotion added
};
// kInvalidModel when the shapes do not fit.
MatMulParams matmul_params(const Dims& a, const Dims& b);
Shape matmul_shape(const Shape& a, const Shape& b);

// For each of m rows calls emit(row, n sums): sums = row of `a` times `b`, an m×k and a k×n matrix
// of loaded values.
template <class V, class LoadA, class Emit>
void multiply(const MatMulParams& p, LoadA&& load_a, const V* b, Emit&& emit) {
  std::vector<V> sums(static_cast<size_t>(p.n));
  V* const sum = sums.data();
  for (int64_t i = 0; i < p.m; ++i) {
    std::fill(sums.begin(), sums.end(), V{});
    for (int64_t l = 0; l < p.k; ++l) {
      const V factor = load_a(i, l);
      const V* row = b + l * p.n;
      for (int64_t j = 0; j < p.n; ++j) sum[j] += factor * row[j];
    }
    emit(i, sums);
  }
}

}  // namespace treadle

#include "graph/ops/matmul_params.h"

namespace treadle {
namespace {

void check_inner(const Dim& a, const Dim& b, const Shape& a_shape, const Shape& b_shape) {
  TREADLE_CHECK(!a.known() || !b.known() || a == b, kInvalidModel, "matrices of shapes ",
                shape_text(a_shape), " and ", shape_text(b_shape), " do not fit: inner sizes ",
                a.text(), " and ", b.text());
}

Shape leading(const Shape& shape) {
  return shape.size() < 3 ? Shape{} : Shape(shape.begin(), shape.end() - 2);
}

// The batch dims' strides in elements of `dims`, whose matrices have `matrix` elements, read as
// `batch`.
Dims batch_strides(const Dims& dims, int64_t matrix, const Dims& batch) {
  const Dims own(dims.begin(),
                 dims.end() - static_cast<ptrdiff_t>(std::min<size_t>(dims.size(), 2)));
  Dims strides = broadcast_strides(own, batch);
  for (int64_t& s : strides) s *= matrix;
  return strides;
}

}  // namespace

Shape matmul_shape(const Shape& a, const Shape& b) {
  TREADLE_CHECK(!a.empty() && !b.empty(), kInvalidModel, "matrices of shapes ", shape_text(a),
                " and ", shape_text(b), ": scalars cannot be multiplied as matrices");
  check_inner(a.back(), b.size() == 1 ? b[0] : b[b.size() - 2], a, b);
  Shape shape = broadcast(leading(a), leading(b));
  if (a.size() > 1) shape.push_back(a[a.size() - 2]);
  if (b.size() > 1) shape.push_back(b.back());
  return shape;
}

MatMulParams matmul_params(const Dims& a, const Dims& b) {
  MatMulParams p;
  p.output = *concrete(matmul_shape(symbolic(a), symbolic(b)));
  p.batch = *concrete(broadcast(leading(symbolic(a)), leading(symbolic(b))));
  p.m = a.size() > 1 ? a[a.size() - 2] : 1;
  p.k = a.back();
  p.n = b.size() > 1 ? b.back() : 1;
  p.a_strides = batch_strides(a, checked_mul(p.m, p.k), p.batch);
  p.b_strides = batch_strides(b, checked_mul(p.k, p.n), p.batch);
  return p;
}

}  // namespace treadle

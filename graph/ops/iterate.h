// How the reference kernels walk index spaces: strided rows, broadcasting, one axis between outer
// and inner.
#pragma once

#include <array>
#include <span>
#include <utility>

#include "graph/base/tensor.h"

namespace treadle {

// One innermost run of N operands: element i of operand n lies at at[n] + i * step[n].
template <size_t N>
struct Row {
  int64_t count = 0;
  std::array<int64_t, N> at{};
  std::array<int64_t, N> step{};
};

// Drops dims of 1 and joins neighbours that every operand walks as one. At least one dim is left.
void merge_dims(Dims& dims, std::span<Dims> strides);

// Calls f(const Row<N>&) for each innermost row of the index space `dims`, in row-major order.
// Operand n's strides, in elements, may be 0 (broadcast), negative or permuted; `start` are the
// offsets of index 0. Nothing is called where a dim is 0.
template <size_t N, class F>
void for_each_row(Dims dims, std::array<Dims, N> strides, F&& f,
                  const std::array<int64_t, N>& start = {}) {
  if (element_count(dims) == 0) return;
  merge_dims(dims, strides);
  const size_t last = dims.size() - 1;
  Row<N> row{.count = dims[last], .at = start, .step = {}};
  for (size_t n = 0; n < N; ++n) row.step[n] = strides[n][last];
  Dims index(last, 0);
  while (true) {
    f(std::as_const(row));
    size_t d = last;
    for (; d > 0; --d) {
      const size_t k = d - 1;
      for (size_t n = 0; n < N; ++n) row.at[n] += strides[n][k];
      if (++index[k] < dims[k]) break;
      for (size_t n = 0; n < N; ++n) row.at[n] -= strides[n][k] * dims[k];
      index[k] = 0;
    }
    if (d == 0) return;
  }
}

// y[i] = f(x[i]).
template <class T, class R, class F>
void map_unary(const Tensor& x, Tensor& y, F&& f) {
  const auto from = x.data<T>();
  const auto to = y.data<R>();
  for (size_t i = 0; i < to.size(); ++i) to[i] = f(from[i]);
}

// y = f(a, b), the inputs broadcast to y's shape.
template <class A, class B, class R, class F>
void map_binary(const Tensor& a, const Tensor& b, Tensor& y, F&& f) {
  const A* pa = a.data<A>().data();
  const B* pb = b.data<B>().data();
  R* py = y.data<R>().data();
  const Dims& dims = y.dims();
  for_each_row<3>(
      dims,
      {broadcast_strides(a.dims(), dims), broadcast_strides(b.dims(), dims), strides_of(dims)},
      [&](const Row<3>& row) {
        const A* ra = pa + row.at[0];
        const B* rb = pb + row.at[1];
        R* ry = py + row.at[2];
        // A step that is a constant lets the compiler vectorize.
        if (row.step[0] == 1 && row.step[1] == 1) {
          for (int64_t i = 0; i < row.count; ++i) ry[i] = f(ra[i], rb[i]);
        } else if (row.step[0] == 1 && row.step[1] == 0) {
          const B right = *rb;
          for (int64_t i = 0; i < row.count; ++i) ry[i] = f(ra[i], right);
        } else {
          for (int64_t i = 0; i < row.count; ++i)
            ry[i] = f(ra[i * row.step[0]], rb[i * row.step[1]]);
        }
      });
}

// y = f(a, b, c), the inputs broadcast to y's shape.
template <class A, class B, class C, class R, class F>
void map_ternary(const std::array<const Tensor*, 3>& inputs, Tensor& y, F&& f) {
  const A* pa = inputs[0]->data<A>().data();
  const B* pb = inputs[1]->data<B>().data();
  const C* pc = inputs[2]->data<C>().data();
  R* py = y.data<R>().data();
  const Dims& dims = y.dims();
  std::array<Dims, 4> strides;
  for (size_t n = 0; n < 3; ++n) strides[n] = broadcast_strides(inputs[n]->dims(), dims);
  strides[3] = strides_of(dims);
  for_each_row<4>(dims, strides, [&](const Row<4>& row) {
    for (int64_t i = 0; i < row.count; ++i) {
      py[row.at[3] + i] = f(pa[row.at[0] + i * row.step[0]], pb[row.at[1] + i * row.step[1]],
                            pc[row.at[2] + i * row.step[2]]);
    }
  });
}

// A shape seen along one axis: element (o, i, k) lies at (o * size + i) * inner + k.
struct AxisSplit {
  int64_t outer = 1;
  int64_t size = 1;
  int64_t inner = 1;
};
// `axis` may be negative; kInvalidModel when it is out of range.
AxisSplit split_axis(const Dims& dims, int64_t axis);

}  // namespace treadle

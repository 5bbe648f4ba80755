// MatMul and Gemm.
#include <cmath>

#include "graph/ops/expect.h"
#include "graph/ops/families.h"
#include "graph/ops/iterate.h"
#include "graph/ops/matmul_params.h"
#include "graph/ops/op.h"

namespace treadle {
namespace {

using MatMulTypes = Types<float, double, Float16, Bfloat16, int32_t, int64_t, uint32_t, uint64_t>;

// Sums of integers wrap, so they are formed in uint64_t.
template <class T>
using Sum = std::conditional_t<std::is_integral_v<T>, uint64_t, double>;

template <class T>
Sum<T> load(T v) {
  return static_cast<Sum<T>>(v);
}

template <class T>
T store(Sum<T> v) {
  return T(static_cast<Compute<T>>(v));
}

void infer_matmul(InferContext& c) { c.set_shape(0, matmul_shape(c.shape(0), c.shape(1))); }

void eval_matmul(EvalContext& c) {
  const MatMulParams p = matmul_params(c.input(0).dims(), c.input(1).dims());
  Tensor& y = c.output(0, p.output);
  dispatch(c.dtype(0), MatMulTypes{}, [&]<class T>() {
    const T* a = c.input(0).data<T>().data();
    const T* b = c.input(1).data<T>().data();
    T* to = y.data<T>().data();
    std::vector<Sum<T>> loaded(static_cast<size_t>(p.k * p.n));
    const T* loaded_from = nullptr;
    for_each_row<2>(p.batch, {p.a_strides, p.b_strides}, [&](const Row<2>& run) {
      for (int64_t i = 0; i < run.count; ++i) {
        c.poll();
        const T* left = a + run.at[0] + i * run.step[0];
        const T* right = b + run.at[1] + i * run.step[1];
        if (right != loaded_from) std::transform(right, right + p.k * p.n, loaded.begin(), load<T>);
        loaded_from = right;
        multiply(
            p, [&](int64_t row, int64_t l) { return load(left[row * p.k + l]); }, loaded.data(),
            [&](int64_t, const std::vector<Sum<T>>& sums) {
              to = std::transform(sums.begin(), sums.end(), to, store<T>);
            });
      }
    });
  });
}

// A matrix operand of Gemm, perhaps read transposed.
template <class D>
std::pair<D, D> gemm_sizes(const std::vector<D>& shape, bool transposed, const char* name) {
  TREADLE_CHECK(shape.size() == 2, kInvalidModel, name, " has shape ", shape_text(shape),
                ", expected a matrix");
  return transposed ? std::pair{shape[1], shape[0]} : std::pair{shape[0], shape[1]};
}

Shape gemm_shape(const Attributes& attributes, const Shape& a, const Shape& b) {
  const auto [m, k] = gemm_sizes(a, attributes.i("transA", 0) != 0, "A");
  const auto [inner, n] = gemm_sizes(b, attributes.i("transB", 0) != 0, "B");
  TREADLE_CHECK(!k.known() || !inner.known() || k == inner, kInvalidModel, "A of shape ",
                shape_text(a), " and B of shape ", shape_text(b), " do not fit: inner sizes ",
                k.text(), " and ", inner.text());
  return {m, n};
}

void infer_gemm(InferContext& c) {
  const Shape shape = gemm_shape(c.attributes(), c.shape(0), c.shape(1));
  c.set_shape(0, shape);
  expect_broadcast_to(c, 2, shape);
}

// alpha*product + beta*c; factors of 1 keep integers exact.
template <class T>
T blend(Sum<T> product, double alpha, T c, double beta) {
  if (alpha == 1 && beta == 1) return store<T>(product + load(c));
  if constexpr (std::is_integral_v<T>) {
    const double value =
        alpha * static_cast<double>(static_cast<T>(product)) + beta * static_cast<double>(c);
    if (std::isnan(value)) return 0;
    if (value <= static_cast<double>(std::numeric_limits<T>::min()))
      return std::numeric_limits<T>::min();
    if (value >= static_cast<double>(std::numeric_limits<T>::max()))
      return std::numeric_limits<T>::max();
    return static_cast<T>(value);
  } else {
    return store<T>(alpha * product + (beta == 0 ? 0 : beta * static_cast<double>(c)));
  }
}

template <class T>
void gemm(EvalContext& c, Tensor& y) {
  const bool a_transposed = c.attributes().i("transA", 0) != 0;
  const bool b_transposed = c.attributes().i("transB", 0) != 0;
  const double alpha = c.attributes().f("alpha", 1);
  const double beta = c.attributes().f("beta", 1);
  MatMulParams p;
  std::tie(p.m, p.k) = gemm_sizes(c.input(0).dims(), a_transposed, "A");
  p.n = y.dim(1);
  const T* a = c.input(0).data<T>().data();
  const T* b = c.input(1).data<T>().data();
  std::vector<Sum<T>> loaded(static_cast<size_t>(p.k * p.n));
  for (int64_t l = 0; l < p.k; ++l) {
    for (int64_t j = 0; j < p.n; ++j) {
      loaded[static_cast<size_t>(l * p.n + j)] =
          load(b_transposed ? b[j * p.k + l] : b[l * p.n + j]);
    }
  }
  const T zero(0);
  const T* added = c.has(2) ? c.input(2).data<T>().data() : &zero;
  const Dims steps = broadcast_strides(c.has(2) ? c.input(2).dims() : Dims{}, y.dims());
  T* to = y.data<T>().data();
  multiply(
      p, [&](int64_t i, int64_t l) { return load(a_transposed ? a[l * p.m + i] : a[i * p.k + l]); },
      loaded.data(),
      [&](int64_t i, const std::vector<Sum<T>>& sums) {
        c.poll();
        for (int64_t j = 0; j < p.n; ++j) {
          *to++ = blend<T>(sums[static_cast<size_t>(j)], alpha, added[i * steps[0] + j * steps[1]],
                           beta);
        }
      });
}

void eval_gemm(EvalContext& c) {
  const Shape shape =
      gemm_shape(c.attributes(), symbolic(c.input(0).dims()), symbolic(c.input(1).dims()));
  const Dims dims = *concrete(shape);
  expect_broadcast_to(c, 2, dims);
  Tensor& y = c.output(0, dims);
  dispatch(c.dtype(0), MatMulTypes{}, [&]<class T>() { gemm<T>(c, y); });
}

constexpr const char* kMatMulTypes = "T=floats,int32,int64,uint32,uint64";

constexpr OpDef kRows[] = {
    {.kind = "Gemm",
     .inputs = "A:T B:T C?:T",
     .outputs = "Y:T",
     .types = kMatMulTypes,
     .attributes = "alpha:f=1 beta:f=1 transA:i=0 transB:i=0",
     .infer = infer_gemm,
     .eval = eval_gemm},
    {.kind = "MatMul",
     .inputs = "A:T B:T",
     .outputs = "Y:T",
     .types = kMatMulTypes,
     .infer = infer_matmul,
     .eval = eval_matmul},
};

}  // namespace

std::span<const OpDef> matmul_ops() { return kRows; }

}  // namespace treadle

// Det: determinants of square matrices, by elimination with partial pivoting.
#include "graph/ops/arithmetic.h"
#include "graph/ops/families.h"
#include "graph/ops/op.h"

namespace treadle {
namespace {

void infer_det(InferContext& c) {
  const Shape& x = c.shape(0);
  const bool fits = x.size() >= 2 &&
                    (!x.back().known() || !x[x.size() - 2].known() || x.back() == x[x.size() - 2]);
  TREADLE_CHECK(fits, kInvalidModel, "the input has shape ", shape_text(x),
                ", expected square matrices");
  c.set_shape(0, Shape(x.begin(), x.end() - 2));
}

double determinant(std::vector<double>& a, size_t n) {
  double det = 1;
  for (size_t k = 0; k < n; ++k) {
    size_t pivot = k;
    for (size_t i = k + 1; i < n; ++i) {
      if (std::abs(a[i * n + k]) > std::abs(a[pivot * n + k])) pivot = i;
    }
    if (pivot != k) {
      std::swap_ranges(a.begin() + static_cast<ptrdiff_t>(k * n),
                       a.begin() + static_cast<ptrdiff_t>((k + 1) * n),
                       a.begin() + static_cast<ptrdiff_t>(pivot * n));
      det = -det;
    }
    const double head = a[k * n + k];
    det *= head;
    if (head == 0) return det;
    for (size_t i = k + 1; i < n; ++i) {
      const double factor = a[i * n + k] / head;
      for (size_t j = k + 1; j < n; ++j) a[i * n + j] -= factor * a[k * n + j];
    }
  }
  return det;
}

void eval_det(EvalContext& c) {
  const Tensor& x = c.input(0);
  TREADLE_CHECK(x.rank() >= 2 && x.dims().back() == x.dim(x.dims().size() - 2), kInvalidData,
                "the input has shape ", shape_text(x.dims()), ", expected square matrices");
  const auto n = static_cast<size_t>(x.dims().back());
  Tensor& y = c.output(0, Dims(x.dims().begin(), x.dims().end() - 2));
  if (y.count() == 0) return;  // n may be of any size then
  std::vector<double> matrix(n * n);
  dispatch(x.dtype(), FloatTypes{}, [&]<class T>() {
    const T* from = x.data<T>().data();
    for (T& result : y.data<T>()) {
      c.poll();
      for (double& value : matrix) value = static_cast<double>(*from++);
      result = convert<T>(determinant(matrix, n));
    }
  });
}

constexpr OpDef kRows[] = {
    {.kind = "Det",
     .inputs = "X:T",
     .outputs = "Y:T",
     .types = "T=floats",
     .infer = infer_det,
     .eval = eval_det},
};

}  // namespace

std::span<const OpDef> det_ops() { return kRows; }

}  // namespace treadle

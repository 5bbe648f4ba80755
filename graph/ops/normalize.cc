// The smaller normalizations: LpNormalization, MeanVarianceNormalization, LRN.
#include "graph/builder.h"
#include "graph/ops/arithmetic.h"
#include "graph/ops/families.h"
#include "graph/ops/iterate.h"
#include "graph/ops/op.h"

namespace treadle {
namespace {

void eval_lp_norm(EvalContext& c) {
  const Tensor& x = c.input(0);
  const int64_t p = c.attributes().i("p", 2);
  TREADLE_CHECK(p == 1 || p == 2, kInvalidModel, "attribute 'p' is ", p, ", expected 1 or 2");
  const AxisSplit s = split_axis(x.dims(), c.attributes().i("axis", -1));
  Tensor& y = c.output(0, x.dims());
  dispatch(x.dtype(), FloatTypes{}, [&]<class T>() {
    for (int64_t o = 0; o < s.outer; ++o) {
      for (int64_t k = 0; k < s.inner; ++k) {
        const T* from = x.data<T>().data() + o * s.size * s.inner + k;
        T* to = y.data<T>().data() + o * s.size * s.inner + k;
        double norm = 0;
        for (int64_t i = 0; i < s.size; ++i) {
          const auto v = static_cast<double>(from[i * s.inner]);
          norm += p == 1 ? std::abs(v) : v * v;
        }
        if (p == 2) norm = std::sqrt(norm);
        for (int64_t i = 0; i < s.size; ++i) {
          to[i * s.inner] =
              convert<T>(norm == 0 ? 0 : static_cast<double>(from[i * s.inner]) / norm);
        }
      }
    }
  });
}

// (X - mean) / (std + 1e-9), as the function in ONNX's specification.
std::vector<ValueId> decompose_mean_variance(Builder& b, const Node& node) {
  const ValueId x = node.input(0);
  const ValueId axes = b.ints(node.attributes.ints("axes", {0, 2, 3}));
  const DType dtype = b.type(x).dtype;
  const ValueId difference = b.op("Sub", {x, b.op("ReduceMean", {x, axes})});
  const ValueId variance = b.op("ReduceMean", {b.op("Mul", {difference, difference}), axes});
  const ValueId deviation = b.op("Add", {b.op("Sqrt", {variance}), b.scalar(dtype, 1e-9)});
  return {b.op("Div", {difference, deviation})};
}

// x / (bias + alpha / size * sum of the squares of `size` channels around)^beta.
template <class T>
void local_response(const Tensor& x, Tensor& y, const Attributes& a) {
  const int64_t size = a.i("size", 1);
  const double alpha = static_cast<double>(a.f("alpha", 1e-4f)) / static_cast<double>(size);
  const auto beta = static_cast<double>(a.f("beta", 0.75f));
  const auto bias = static_cast<double>(a.f("bias", 1));
  const AxisSplit s = split_axis(x.dims(), 1);
  const int64_t before = (size - 1) / 2;
  const int64_t after = size - 1 - before;
  std::vector<double> sums(static_cast<size_t>(s.inner));
  for (int64_t n = 0; n < s.outer; ++n) {
    const T* plane = x.data<T>().data() + n * s.size * s.inner;
    T* to = y.data<T>().data() + n * s.size * s.inner;
    for (int64_t k = 0; k < s.size; ++k) {
      std::fill(sums.begin(), sums.end(), 0.0);
      const int64_t first = std::max<int64_t>(0, k - before);
      const int64_t last = after < s.size - 1 - k ? k + after : s.size - 1;
      for (int64_t j = first; j <= last; ++j) {
        for (int64_t i = 0; i < s.inner; ++i) {
          const auto v = static_cast<double>(plane[j * s.inner + i]);
          sums[static_cast<size_t>(i)] += v * v;
        }
      }
      for (int64_t i = 0; i < s.inner; ++i) {
        const double scale = std::pow(bias + alpha * sums[static_cast<size_t>(i)], beta);
        to[k * s.inner + i] = convert<T>(static_cast<double>(plane[k * s.inner + i]) / scale);
      }
    }
  }
}

void eval_lrn(EvalContext& c) {
  const Tensor& x = c.input(0);
  TREADLE_CHECK(c.attributes().i("size", 1) > 0, kInvalidModel, "attribute 'size' is ",
                c.attributes().i("size", 1), ", expected at least 1");
  TREADLE_CHECK(x.rank() >= 2, kInvalidArgument, "expected rank 2 or more, got ",
                shape_text(x.dims()));
  Tensor& y = c.output(0, x.dims());
  dispatch(x.dtype(), FloatTypes{}, [&]<class T>() { local_response<T>(x, y, c.attributes()); });
}

constexpr OpDef kRows[] = {
    {.kind = "LpNormalization",
     .inputs = "input:T",
     .outputs = "output:T",
     .types = "T=floats",
     .attributes = "p:i=2 axis:i=-1",
     .infer = infer_same_shape,
     .eval = eval_lp_norm},
    {.kind = "MeanVarianceNormalization",
     .inputs = "X:T",
     .outputs = "Y:T",
     .types = "T=floats",
     .attributes = "axes:is=[0,2,3]",
     .infer = infer_same_shape,
     .decompose = decompose_mean_variance},
    {.kind = "LRN",
     .inputs = "X:T",
     .outputs = "Y:T",
     .types = "T=floats",
     .attributes = "bias:f=1 beta:f=0.75 alpha:f=0.0001 size:i!",
     .infer = infer_same_shape,
     .eval = eval_lrn},
};

}  // namespace

std::span<const OpDef> normalize_ops() { return kRows; }

}  // namespace treadle

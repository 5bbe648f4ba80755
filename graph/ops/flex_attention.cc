// FlexAttention of ai.onnx.preview: attention whose scores and probabilities pass through bodies.
#include "graph/ops/arithmetic.h"
#include "graph/ops/cast.h"
#include "graph/ops/families.h"
#include "graph/ops/scalar.h"

namespace treadle {
namespace {

void check_heads(const Shape& q, const Shape& k, const Shape& v) {
  const auto agree = [](const Dim& a, const Dim& b) { return !a.known() || !b.known() || a == b; };
  TREADLE_CHECK(q.size() == 4 && k.size() == 4 && v.size() == 4, kInvalidModel,
                "Q, K and V have shapes ", shape_text(q), ", ", shape_text(k), ", ", shape_text(v),
                ", expected rank 4");
  const bool grouped =
      !q[1].known() || !k[1].known() || (k[1].value() > 0 && q[1].value() % k[1].value() == 0);
  TREADLE_CHECK(grouped && agree(q[0], k[0]) && agree(q[0], v[0]) && agree(k[1], v[1]) &&
                    agree(q[3], k[3]) && agree(k[2], v[2]),
                kInvalidModel,
                "Q, K and V as [batch, heads, sequence, size] do not fit: ", shape_text(q), ", ",
                shape_text(k), ", ", shape_text(v));
}

DType softmax_dtype(const Attributes& a, DType input) {
  const DType own = input == DType::kDouble ? DType::kDouble : DType::kFloat;
  const DType dtype = dtype_attribute(a, "softmax_precision", own);
  TREADLE_CHECK(kFloats.has(dtype), kInvalidModel, "attribute softmax_precision is ",
                dtype_name(dtype), ", expected a float type");
  return dtype;
}

void infer_flex_attention(InferContext& c) {
  const Shape& q = c.shape(0);
  const Shape& v = c.shape(2);
  check_heads(q, c.shape(1), v);
  c.set_shape(0, {q[0], q[1], q[2], v[3]});
}

// The scores or probabilities as the body makes them.
Tensor modified(EvalContext& c, std::string_view attribute, Tensor x) {
  const auto& bodies = c.node().subgraphs;
  for (size_t i = 0; i < bodies.size(); ++i) {
    if (bodies[i].attribute != attribute) continue;
    TREADLE_CHECK(bodies[i].formal_count() == 1 && bodies[i].graph->outputs().size() == 1,
                  kInvalidModel, attribute, " takes ", bodies[i].formal_count(),
                  " inputs and gives ", bodies[i].graph->outputs().size(),
                  " outputs, expected 1 and 1");
    const Tensor y = c.run_body(i, {x})[0].tensor();
    TREADLE_CHECK(y.dims() == x.dims() && y.dtype() == x.dtype(), kInvalidData, attribute, " gave ",
                  dtype_name(y.dtype()), shape_text(y.dims()), ", expected ", dtype_name(x.dtype()),
                  shape_text(x.dims()));
    return y;
  }
  return x;
}

// y[i, j] = sum over k of a[i, k] * b, which is [k, j], or [j, k] where it is transposed.
struct Product {
  int64_t rows;
  int64_t inner;
  int64_t columns;
  bool transposed;
};
template <class T>
void multiply_into(const T* a, const T* b, const Product& p, T* y) {
  for (int64_t i = 0; i < p.rows; ++i) {
    for (int64_t j = 0; j < p.columns; ++j) {
      double sum = 0;
      for (int64_t k = 0; k < p.inner; ++k) {
        const T right = p.transposed ? b[j * p.inner + k] : b[k * p.columns + j];
        sum += static_cast<double>(a[i * p.inner + k]) * static_cast<double>(right);
      }
      y[i * p.columns + j] = convert<T>(sum);
    }
  }
}

// The product of each head of `a` with the head of `b` that it shares.
Tensor multiply_heads(EvalContext& c, const Tensor& a, const Tensor& b, bool transposed) {
  const Product p{a.dim(2), a.dim(3), transposed ? b.dim(2) : b.dim(3), transposed};
  Tensor y(a.dtype(), {a.dim(0), a.dim(1), p.rows, p.columns});
  if (y.count() == 0) return y;
  const int64_t shared = a.dim(1) / b.dim(1);
  dispatch(a.dtype(), FloatTypes{}, [&]<class T>() {
    for (int64_t h = 0; h < a.dim(0) * a.dim(1); ++h) {
      c.poll();
      multiply_into(a.data<T>().data() + h * p.rows * p.inner,
                    b.data<T>().data() + h / shared * p.inner * p.columns, p,
                    y.data<T>().data() + h * p.rows * p.columns);
    }
  });
  return y;
}

Tensor scaled(const Tensor& x, double factor) {
  Tensor y(x.dtype(), x.dims());
  dispatch(x.dtype(), FloatTypes{}, [&]<class T>() {
    using C = Compute<T>;
    const C by = static_cast<C>(convert<T>(factor));
    for (size_t i = 0; i < x.data<T>().size(); ++i)
      y.data<T>()[i] = convert<T>(static_cast<C>(x.data<T>()[i]) * by);
  });
  return y;
}

Tensor softmax_rows(const Tensor& x) {
  Tensor y(x.dtype(), x.dims());
  const auto columns = static_cast<size_t>(x.dim(3));
  dispatch(x.dtype(), FloatTypes{}, [&]<class T>() {
    const T* from = x.data<T>().data();
    T* to = y.data<T>().data();
    std::vector<double> row(columns);
    for (int64_t r = 0; columns != 0 && r < x.count() / x.dim(3); ++r) {
      double most = -std::numeric_limits<double>::infinity();
      double sum = 0;
      for (size_t j = 0; j < columns; ++j) most = larger(most, static_cast<double>(from[j]));
      for (size_t j = 0; j < columns; ++j) {
        row[j] = std::exp(static_cast<double>(from[j]) - most);
        sum += row[j];
      }
      for (size_t j = 0; j < columns; ++j) to[j] = convert<T>(row[j] / sum);
      from += columns;
      to += columns;
    }
  });
  return y;
}

void eval_flex_attention(EvalContext& c) {
  const Tensor& q = c.input(0);
  const Tensor& k = c.input(1);
  const Tensor& v = c.input(2);
  check_heads(symbolic(q.dims()), symbolic(k.dims()), symbolic(v.dims()));
  const DType precision = softmax_dtype(c.attributes(), q.dtype());
  const double scale = c.attributes().has("scale")
                           ? static_cast<double>(c.attributes().f("scale", 1))
                           : 1 / std::sqrt(static_cast<double>(q.dim(3)));
  const double root = std::sqrt(scale);  // to each factor, which keeps float16 in its range
  Tensor scores = multiply_heads(c, scaled(q, root), scaled(k, root), true);
  scores = modified(c, "score_mod", cast_tensor(scores, precision));
  const Tensor weights = modified(c, "prob_mod", softmax_rows(scores));
  const Tensor y =
      cast_tensor(multiply_heads(c, weights, cast_tensor(v, precision), false), q.dtype());
  copy_elements(y, c.output(0, y.dims()));
}

constexpr OpDef kRows[] = {
    {.kind = "FlexAttention",
     .inputs = "Q:T1 K:T1 V:T1",
     .outputs = "Y:T1",
     .types = "T1=floats",
     .attributes = "prob_mod:g score_mod:g softmax_precision:i scale:f",
     .infer = infer_flex_attention,
     .eval = eval_flex_attention,
     .traits = kDataDependent,
     .domain = "ai.onnx.preview"},
};

}  // namespace

std::span<const OpDef> flex_attention_ops() { return kRows; }

}  // namespace treadle

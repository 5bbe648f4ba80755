// Products of quantized tensors: QLinearConv, QLinearMatMul, ConvInteger, MatMulInteger. Sums are
// formed in double, which holds every sum of 8-bit products exactly.
#include "graph/ops/conv_params.h"
#include "graph/ops/families.h"
#include "graph/ops/lowbit.h"
#include "graph/ops/matmul_params.h"
#include "graph/ops/op.h"
#include "graph/ops/quantize.h"
#include "graph/ops/window.h"

namespace treadle {
namespace {

using ByteTypes = Types<int8_t, uint8_t>;

// What a quantized value of the output type becomes: rounded and saturated for integers, as it is
// for floats.
struct Quantizer {
  explicit Quantizer(DType dtype) : integers(is_integer(dtype)) {
    if (integers) range = quant_range(dtype);
  }
  double operator()(float scaled, double zero_point) const {
    const auto wide = static_cast<double>(scaled);
    return integers ? round_and_saturate(wide, zero_point, range) : wide + zero_point;
  }
  bool integers;
  QuantRange range;
};

// Writes values that the type of `y` holds, but for the float8 types, to which they are rounded.
void store(const std::vector<double>& values, Tensor& y) {
  if (is_lowbit(y.dtype())) {
    Tensor plain(DType::kFloat, y.dims());
    std::ranges::transform(values, plain.data<float>().begin(),
                           [](double v) { return static_cast<float>(v); });
    return copy_elements(narrow(plain, y.dtype()), y);
  }
  dispatch(y.dtype(), Types<int8_t, uint8_t, int32_t>{}, [&]<class T>() {
    std::ranges::transform(values, y.data<T>().begin(),
                           [](double v) { return static_cast<T>(static_cast<int64_t>(v)); });
  });
}

// ---- Convolution

// The value of a scalar (or one-element) input; `fallback` where absent.
double single(const EvalContext& c, size_t input, double fallback) {
  if (!c.has(input)) return fallback;
  TREADLE_CHECK(c.input(input).count() == 1, kInvalidModel, "input '",
                c.node().op->input(input).name, "' has shape ", shape_text(c.input(input).dims()),
                ", expected one element");
  return quant_values(c.input(input))[0];
}

// One value a channel, from a scalar or a vector.
std::vector<double> by_channel(const EvalContext& c, size_t input, int64_t channels,
                               double fallback) {
  const auto count = static_cast<size_t>(channels);
  if (!c.has(input)) return std::vector<double>(count, fallback);
  std::vector<double> values = quant_values(c.input(input));
  if (values.size() == 1) return std::vector<double>(count, values[0]);
  TREADLE_CHECK(values.size() == count && c.input(input).rank() == 1, kInvalidModel, "input '",
                c.node().op->input(input).name, "' has shape ", shape_text(c.input(input).dims()),
                ", expected one or ", channels, " elements");
  return values;
}

// Calls emit(channel, offset in y, row of sums) for each row of the integer convolution of x and w.
template <class Emit>
void convolve_bytes(EvalContext& c, const ConvParams& p, const Tensor& x, const Tensor& w,
                    double x_zero, const std::vector<double>& w_zeros, Emit&& emit) {
  const WindowRows rows(p);
  dispatch(x.dtype(), ByteTypes{}, [&]<class X>() {
    dispatch(w.dtype(), ByteTypes{}, [&]<class W>() {
      convolve<double>(
          p, x.data<X>().data(), w.data<W>().data(),
          [&](X v) { return static_cast<double>(v) - x_zero; },
          [&](W v, int64_t m) { return static_cast<double>(v) - w_zeros[static_cast<size_t>(m)]; },
          [&](int64_t n, int64_t m, int64_t row, const std::vector<double>& sums) {
            if (m == 0) c.poll();
            emit(m, ((n * p.out_channels + m) * rows.row_count() + row) * rows.row_length(), sums);
          });
    });
  });
}

void infer_conv_integer(InferContext& c) {
  c.set_shape(0, conv_shape(c.attributes(), c.shape(0), c.shape(1)));
}
void infer_qlinear_conv(InferContext& c) {
  c.set_shape(0, conv_shape(c.attributes(), c.shape(0), c.shape(3)));
}

void eval_conv_integer(EvalContext& c) {
  const ConvParams p = conv_params(c.attributes(), c.input(0).dims(), c.input(1).dims());
  const std::vector<double> w_zeros = by_channel(c, 3, p.out_channels, 0);
  Tensor& y = c.output(0, DType::kInt32, p.output_dims());
  int32_t* to = y.data<int32_t>().data();
  convolve_bytes(c, p, c.input(0), c.input(1), single(c, 2, 0), w_zeros,
                 [&](int64_t, int64_t at, const std::vector<double>& sums) {
                   for (const double sum : sums)
                     to[at++] = static_cast<int32_t>(static_cast<int64_t>(sum));
                 });
}

void eval_qlinear_conv(EvalContext& c) {
  enum { kX, kXScale, kXZero, kW, kWScale, kWZero, kYScale, kYZero, kBias };
  const ConvParams p = conv_params(c.attributes(), c.input(kX).dims(), c.input(kW).dims());
  const std::vector<double> w_scales = by_channel(c, kWScale, p.out_channels, 1);
  const std::vector<double> bias = by_channel(c, kBias, p.out_channels, 0);
  const auto x_scale = static_cast<float>(single(c, kXScale, 1));
  const auto y_scale = static_cast<float>(single(c, kYScale, 1));
  const double y_zero = single(c, kYZero, 0);
  const DType dtype = c.dtype(kYZero);
  const Quantizer quantize(dtype);
  std::vector<double> values(static_cast<size_t>(element_count(p.output_dims())));
  convolve_bytes(c, p, c.input(kX), c.input(kW), single(c, kXZero, 0),
                 by_channel(c, kWZero, p.out_channels, 0),
                 [&](int64_t m, int64_t at, const std::vector<double>& sums) {
                   const auto channel = static_cast<size_t>(m);
                   const float factor = x_scale * static_cast<float>(w_scales[channel]) / y_scale;
                   for (const double sum : sums) {
                     values[static_cast<size_t>(at++)] =
                         quantize(static_cast<float>(sum + bias[channel]) * factor, y_zero);
                   }
                 });
  store(values, c.output(0, dtype, p.output_dims()));
}

// ---- Matrix product

// A scale or zero point over the rows (or columns) of a batch of matrices: one value, a vector of
// one a row (column), or a tensor [batch…, m, 1] ([batch…, 1, n]).
struct Spread {
  std::vector<double> values;
  Dims batch_strides;
  int64_t row_step = 0;
  int64_t column_step = 0;
};

Spread spread(const EvalContext& c, size_t input, const MatMulParams& p, bool by_row) {
  Spread s;
  Dims target = p.batch;
  target.insert(target.end(), {by_row ? p.m : 1, by_row ? 1 : p.n});
  Dims dims = c.has(input) ? c.input(input).dims() : Dims{};
  if (dims.size() == 1 && by_row) dims.push_back(1);
  TREADLE_CHECK(dims.size() <= target.size() && broadcast(dims, target) == target, kInvalidModel,
                "input '", c.node().op->input(input).name, "' has shape ", shape_text(dims),
                ", expected one that broadcasts to ", shape_text(target));
  s.values = c.has(input) ? quant_values(c.input(input)) : std::vector<double>{0};
  s.batch_strides = broadcast_strides(dims, target);
  s.column_step = s.batch_strides.back();
  s.batch_strides.pop_back();
  s.row_step = s.batch_strides.back();
  s.batch_strides.pop_back();
  return s;
}

struct MatrixOperands {
  const Tensor& a;
  const Tensor& b;
  Spread a_zero;
  Spread b_zero;
};

// Calls emit(batch, row, sums), `batch` counting the matrices of y.
template <class Emit>
void multiply_bytes(EvalContext& c, const MatMulParams& p, const MatrixOperands& in, Emit&& emit) {
  const std::vector<double> a = quant_values(in.a);
  const std::vector<double> b = quant_values(in.b);
  std::vector<double> right(static_cast<size_t>(p.k * p.n));
  int64_t matrix = 0;
  for_each_row<4>(
      p.batch, {p.a_strides, p.b_strides, in.a_zero.batch_strides, in.b_zero.batch_strides},
      [&](const Row<4>& run) {
        for (int64_t i = 0; i < run.count; ++i) {
          c.poll();
          const double* from_a = a.data() + run.at[0] + i * run.step[0];
          const double* from_b = b.data() + run.at[1] + i * run.step[1];
          const double* a_zero = in.a_zero.values.data() + run.at[2] + i * run.step[2];
          const double* b_zero = in.b_zero.values.data() + run.at[3] + i * run.step[3];
          for (int64_t e = 0; e < p.k * p.n; ++e) {
            right[static_cast<size_t>(e)] = from_b[e] - b_zero[e % p.n * in.b_zero.column_step];
          }
          const auto load = [&](int64_t row, int64_t l) {
            return from_a[row * p.k + l] - a_zero[row * in.a_zero.row_step];
          };
          multiply(p, load, right.data(),
                   [&](int64_t row, const std::vector<double>& sums) { emit(matrix, row, sums); });
          ++matrix;
        }
      });
}

void infer_matmul_integer(InferContext& c) { c.set_shape(0, matmul_shape(c.shape(0), c.shape(1))); }
void infer_qlinear_matmul(InferContext& c) { c.set_shape(0, matmul_shape(c.shape(0), c.shape(3))); }

void eval_matmul_integer(EvalContext& c) {
  const MatMulParams p = matmul_params(c.input(0).dims(), c.input(1).dims());
  Tensor& y = c.output(0, DType::kInt32, p.output);
  int32_t* to = y.data<int32_t>().data();
  multiply_bytes(c, p, {c.input(0), c.input(1), spread(c, 2, p, true), spread(c, 3, p, false)},
                 [&](int64_t, int64_t, const std::vector<double>& sums) {
                   for (const double sum : sums)
                     *to++ = static_cast<int32_t>(static_cast<int64_t>(sum));
                 });
}

// A spread's value at an element of y.
class Reader {
 public:
  Reader(Spread s, const Dims& batch) : spread_(std::move(s)) {
    for_each_row<1>(batch, {spread_.batch_strides}, [&](const Row<1>& run) {
      for (int64_t i = 0; i < run.count; ++i) offsets_.push_back(run.at[0] + i * run.step[0]);
    });
  }
  double operator()(int64_t matrix, int64_t row, int64_t column) const {
    const int64_t at = offsets_[static_cast<size_t>(matrix)] + row * spread_.row_step +
                       column * spread_.column_step;
    return spread_.values[static_cast<size_t>(at)];
  }

 private:
  Spread spread_;
  std::vector<int64_t> offsets_;
};

void eval_qlinear_matmul(EvalContext& c) {
  enum { kA, kAScale, kAZero, kB, kBScale, kBZero, kYScale, kYZero };
  const MatMulParams p = matmul_params(c.input(kA).dims(), c.input(kB).dims());
  const Reader a_scale(spread(c, kAScale, p, true), p.batch);
  const Reader b_scale(spread(c, kBScale, p, false), p.batch);
  const Reader y_scale(spread(c, kYScale, p, true), p.batch);
  const Reader y_zero(spread(c, kYZero, p, true), p.batch);
  const DType dtype = c.dtype(kYZero);
  const Quantizer quantize(dtype);
  std::vector<double> values;
  multiply_bytes(
      c, p, {c.input(kA), c.input(kB), spread(c, kAZero, p, true), spread(c, kBZero, p, false)},
      [&](int64_t matrix, int64_t row, const std::vector<double>& sums) {
        for (int64_t j = 0; j < p.n; ++j) {
          const float factor = static_cast<float>(a_scale(matrix, row, 0)) *
                               static_cast<float>(b_scale(matrix, 0, j)) /
                               static_cast<float>(y_scale(matrix, row, 0));
          values.push_back(quantize(static_cast<float>(sums[static_cast<size_t>(j)]) * factor,
                                    y_zero(matrix, row, 0)));
        }
      });
  store(values, c.output(0, dtype, p.output));
}

constexpr const char* kByteTypes = "T1=int8,uint8 T2=int8,uint8 T3=int8,uint8";
constexpr const char* kQuantTypes =
    "TS=float,float16,bfloat16 T1=int8,uint8,float8e4m3fn,float8e4m3fnuz,float8e5m2,float8e5m2fnuz "
    "T2=int8,uint8,float8e4m3fn,float8e4m3fnuz,float8e5m2,float8e5m2fnuz "
    "T3=int8,uint8,float8e4m3fn,float8e4m3fnuz,float8e5m2,float8e5m2fnuz";
constexpr const char* kConvAttributes =
    "auto_pad:s=NOTSET dilations:is group:i=1 kernel_shape:is pads:is strides:is";

constexpr OpDef kRows[] = {
    {.kind = "ConvInteger",
     .inputs = "x:T1 w:T2 x_zero_point?:T1 w_zero_point?:T2",
     .outputs = "y:int32",
     .types = kByteTypes,
     .attributes = kConvAttributes,
     .infer = infer_conv_integer,
     .eval = eval_conv_integer},
    {.kind = "MatMulInteger",
     .inputs = "A:T1 B:T2 a_zero_point?:T1 b_zero_point?:T2",
     .outputs = "Y:int32",
     .types = kByteTypes,
     .infer = infer_matmul_integer,
     .eval = eval_matmul_integer},
    {.kind = "QLinearConv",
     .inputs =
         "x:T1 x_scale:float x_zero_point:T1 w:T2 w_scale:float w_zero_point:T2 y_scale:float "
         "y_zero_point:T3 B?:int32",
     .outputs = "y:T3",
     .types = kByteTypes,
     .attributes = kConvAttributes,
     .infer = infer_qlinear_conv,
     .eval = eval_qlinear_conv},
    {.kind = "QLinearMatMul",
     .inputs = "a:T1 a_scale:TS a_zero_point:T1 b:T2 b_scale:TS b_zero_point:T2 y_scale:TS "
               "y_zero_point:T3",
     .outputs = "y:T3",
     .types = kQuantTypes,
     .infer = infer_qlinear_matmul,
     .eval = eval_qlinear_matmul},
};

}  // namespace

std::span<const OpDef> qlinear_ops() { return kRows; }

}  // namespace treadle

// Conv and ConvTranspose of any spatial rank.
#include <type_traits>

#include "graph/ops/conv_params.h"
#include "graph/ops/expect.h"
#include "graph/ops/families.h"
#include "graph/ops/op.h"
#include "graph/ops/window.h"

namespace treadle {
namespace {

void infer_conv(InferContext& c) {
  c.set_shape(0, conv_shape(c.attributes(), c.shape(0), c.shape(1)));
  expect_shape(c, 2, {c.shape(1)[0]});
}

void infer_conv_transpose(InferContext& c) {
  const Shape shape = conv_transpose_shape(c.attributes(), c.shape(0), c.shape(1));
  c.set_shape(0, shape);
  expect_shape(c, 2, {shape[1]});
}

// The bias as sums, one a channel; zeros where absent.
std::vector<double> read_bias(const EvalContext& c, int64_t channels) {
  expect_shape(c, 2, {channels});
  if (c.has(2)) return c.input(2).to_doubles();
  return std::vector<double>(static_cast<size_t>(channels));
}

template <class T>
void write_row(T* to, const std::vector<double>& sums, double bias) {
  for (const double sum : sums) *to++ = T(static_cast<Compute<T>>(sum + bias));
}

void eval_conv(EvalContext& c) {
  const ConvParams p = conv_params(c.attributes(), c.input(0).dims(), c.input(1).dims());
  const std::vector<double> bias = read_bias(c, p.out_channels);
  Tensor& y = c.output(0, p.output_dims());
  const WindowRows rows(p);
  dispatch(c.dtype(0), FloatTypes{}, [&]<class T>() {
    const auto load = [](T v) { return static_cast<double>(v); };
    const auto load_weight = [](T v, int64_t) { return static_cast<double>(v); };
    T* to = y.data<T>().data();
    convolve<double>(p, c.input(0).data<T>().data(), c.input(1).data<T>().data(), load, load_weight,
                     [&](int64_t n, int64_t m, int64_t row, const std::vector<double>& sums) {
                       if (m == 0) c.poll();
                       const int64_t plane = (n * p.out_channels + m) * rows.output_plane();
                       write_row(to + plane + row * rows.row_length(), sums,
                                 bias[static_cast<size_t>(m)]);
                     });
  });
}

// The window seen from y: Conv's gradient, so input and output change places.
Window transposed(const ConvParams& p) {
  Window w = p;
  std::swap(w.input, w.output);
  return w;
}

// Spreads one plane of x over the sums of one plane of y.
template <class T>
void scatter(WindowRows& rows, const T* x, const T* kernel, double* sums) {
  const int64_t stride = rows.stride();
  for (int64_t row = 0; row < rows.row_count(); ++row) {
    const T* from = x + row * rows.row_length();
    for (const auto& tap : rows.taps(row)) {
      const T* weight = kernel + tap.kernel;
      for (const auto& column : rows.columns()) {
        const double factor = weight[column.kernel];
        double* to = sums + tap.input + column.first;
        for (int64_t o = column.begin; o < column.end; ++o)
          to[o * stride] += factor * static_cast<double>(from[o]);
      }
    }
  }
}

void eval_conv_transpose(EvalContext& c) {
  const ConvParams p = conv_transpose_params(c.attributes(), c.input(0).dims(), c.input(1).dims());
  const std::vector<double> bias = read_bias(c, p.out_channels);
  Tensor& y = c.output(0, p.output_dims());
  const Window window = transposed(p);
  WindowRows rows(window);
  std::vector<double> sums(static_cast<size_t>(rows.input_plane()));
  dispatch(c.dtype(0), FloatTypes{}, [&]<class T>() {
    const T* x = c.input(0).data<T>().data();
    const T* w = c.input(1).data<T>().data();
    T* to = y.data<T>().data();
    for (int64_t n = 0; n < p.batch; ++n) {
      for (int64_t m = 0; m < p.out_channels; ++m) {
        c.poll();
        const int64_t first = m / p.group_outputs() * p.group_inputs();
        std::fill(sums.begin(), sums.end(), 0.0);
        for (int64_t i = first; i < first + p.group_inputs(); ++i) {
          const T* kernel =
              w + (i * p.group_outputs() + m % p.group_outputs()) * rows.kernel_size();
          scatter(rows, x + (n * p.in_channels + i) * rows.output_plane(), kernel, sums.data());
        }
        write_row(to, sums, bias[static_cast<size_t>(m)]);
        to += rows.input_plane();
      }
    }
  });
}

constexpr OpDef kRows[] = {
    {.kind = "Conv",
     .inputs = "X:T W:T B?:T",
     .outputs = "Y:T",
     .types = "T=floats",
     .attributes = "auto_pad:s=NOTSET dilations:is group:i=1 kernel_shape:is pads:is strides:is",
     .infer = infer_conv,
     .eval = eval_conv},
    {.kind = "ConvTranspose",
     .inputs = "X:T W:T B?:T",
     .outputs = "Y:T",
     .types = "T=floats",
     .attributes = "auto_pad:s=NOTSET dilations:is group:i=1 kernel_shape:is output_padding:is "
                   "output_shape:is "
                   "pads:is strides:is",
     .infer = infer_conv_transpose,
     .eval = eval_conv_transpose},
};

}  // namespace

std::span<const OpDef> conv_ops() { return kRows; }

}  // namespace treadle

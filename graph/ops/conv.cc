// Conv and ConvTranspose of any spatial rank, and the gradients of Conv.
#include <numeric>
#include <optional>
#include <type_traits>

#include "graph/builder.h"
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

// The Conv whose gradient this ConvTranspose is: input and output change places.
ConvParams mirrored(ConvParams p) {
  std::swap(p.input, p.output);
  std::swap(p.in_channels, p.out_channels);
  return p;
}

Dims with_batch(int64_t batch, int64_t channels, const Dims& spatial) {
  Dims dims = {batch, channels};
  dims.insert(dims.end(), spatial.begin(), spatial.end());
  return dims;
}

// Spreads one plane of y over the sums of one plane of x.
template <class T>
void scatter(WindowRows& rows, const T* y, const T* kernel, double* sums) {
  const int64_t stride = rows.stride();
  for (int64_t row = 0; row < rows.row_count(); ++row) {
    const T* from = y + row * rows.row_length();
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

// What Conv is to its input, from y's side: x[n, c] += y[n, m] * w[m, c] for the channels of a
// group. `p` is the Conv's.
void spread(EvalContext& c, const ConvParams& p, const std::vector<double>& bias) {
  Tensor& x = c.output(0, with_batch(p.batch, p.in_channels, p.input));
  WindowRows rows(p);
  std::vector<double> sums(static_cast<size_t>(rows.input_plane()));
  dispatch(c.dtype(0), FloatTypes{}, [&]<class T>() {
    const T* y = c.input(0).data<T>().data();
    const T* w = c.input(1).data<T>().data();
    T* to = x.data<T>().data();
    for (int64_t n = 0; n < p.batch; ++n) {
      for (int64_t i = 0; i < p.in_channels; ++i) {
        c.poll();
        const int64_t first = i / p.group_inputs() * p.group_outputs();
        std::fill(sums.begin(), sums.end(), 0.0);
        for (int64_t m = first; m < first + p.group_outputs(); ++m) {
          const T* kernel = w + (m * p.group_inputs() + i % p.group_inputs()) * rows.kernel_size();
          scatter(rows, y + (n * p.out_channels + m) * rows.output_plane(), kernel, sums.data());
        }
        write_row(to, sums, bias[static_cast<size_t>(i)]);
        to += rows.input_plane();
      }
    }
  });
}

void eval_conv_transpose(EvalContext& c) {
  const ConvParams p = conv_transpose_params(c.attributes(), c.input(0).dims(), c.input(1).dims());
  spread(c, mirrored(p), read_bias(c, p.out_channels));
}

// ---- ConvGradInput, ConvGradWeights: of a Conv with the same attributes

// The sizes that input 2 asks for.
void infer_asked_shape(InferContext& c) {
  if (const std::vector<Dim>* dims = c.values(2)) return c.set_shape(0, *dims);
  c.set_shape(0, Shape(c.shape(0).size(), Dim::unknown()));
}

void infer_grad_input(InferContext& c) {
  infer_asked_shape(c);
  expect_shape(c, 0, conv_shape(c.attributes(), *c.outputs()[0].type.shape, c.shape(1)));
}
void infer_grad_weights(InferContext& c) {
  infer_asked_shape(c);
  expect_shape(c, 0, conv_shape(c.attributes(), c.shape(1), *c.outputs()[0].type.shape));
}

Dims asked_shape(const EvalContext& c) {
  Dims dims = c.input(2).to_ints();
  for (int64_t d : dims) TREADLE_CHECK(d >= 0, kInvalidData, "a size of ", d, " is asked for");
  return dims;
}

void eval_grad_input(EvalContext& c) {
  const ConvParams p = conv_params(c.attributes(), asked_shape(c), c.input(1).dims());
  expect_shape(c, 0, p.output_dims());
  spread(c, p, std::vector<double>(static_cast<size_t>(p.in_channels)));
}

// Adds to the sums, one a cell of the kernel, the products of a plane of y with what its cells saw.
template <class T>
void correlate(WindowRows& rows, const T* y, const T* x, double* sums) {
  const int64_t stride = rows.stride();
  for (int64_t row = 0; row < rows.row_count(); ++row) {
    const T* by = y + row * rows.row_length();
    for (const auto& tap : rows.taps(row)) {
      for (const auto& column : rows.columns()) {
        const T* from = x + tap.input + column.first;
        double sum = 0;
        for (int64_t o = column.begin; o < column.end; ++o)
          sum += static_cast<double>(by[o]) * static_cast<double>(from[o * stride]);
        sums[tap.kernel + column.kernel] += sum;
      }
    }
  }
}

void eval_grad_weights(EvalContext& c) {
  const Dims dims = asked_shape(c);
  const ConvParams p = conv_params(c.attributes(), c.input(1).dims(), dims);
  expect_shape(c, 0, p.output_dims());
  Tensor& w = c.output(0, dims);
  WindowRows rows(p);
  std::vector<double> sums(static_cast<size_t>(rows.kernel_size()));
  dispatch(c.dtype(0), FloatTypes{}, [&]<class T>() {
    const T* y = c.input(0).data<T>().data();
    const T* x = c.input(1).data<T>().data();
    T* to = w.data<T>().data();
    for (int64_t m = 0; m < p.out_channels; ++m) {
      c.poll();
      for (int64_t k = 0; k < p.group_inputs(); ++k) {
        const int64_t i = m / p.group_outputs() * p.group_inputs() + k;
        std::fill(sums.begin(), sums.end(), 0.0);
        for (int64_t n = 0; n < p.batch; ++n) {
          correlate(rows, y + (n * p.out_channels + m) * rows.output_plane(),
                    x + (n * p.in_channels + i) * rows.input_plane(), sums.data());
        }
        write_row(to, sums, 0);
        to += rows.kernel_size();
      }
    }
  });
}

// ---- The same by ONNX's operators

std::optional<Dims> known_dims(Builder& b, ValueId value) {
  const auto& shape = b.type(value).shape;
  return shape ? concrete(*shape) : std::nullopt;
}
std::optional<Dims> known_values(Builder& b, ValueId value) {
  const Tensor& constant = b.graph().value(value).constant;
  return constant.defined() ? std::optional(constant.to_ints()) : std::nullopt;
}

Attributes window_attributes(const Dims& strides, const Dims& dilations, const Dims& pads) {
  return {{"strides", strides}, {"dilations", dilations}, {"pads", pads}};
}

struct GradWindow {
  size_t rank = 0;
  int64_t group = 1;
  Dims strides, dilations, pads;
};

// Padding by auto_pad follows from the sizes, which must be known then.
GradWindow grad_window(Builder& b, const Node& node, const std::optional<Dims>& x,
                       const std::optional<Dims>& w) {
  const Attributes& a = node.attributes;
  TREADLE_CHECK(b.type(node.input(0)).shape, kUnsupported, "the rank is not known before the run");
  GradWindow g;
  g.rank = b.type(node.input(0)).shape->size() - 2;
  g.group = a.i("group", 1);
  g.strides = a.ints("strides", Dims(g.rank, 1));
  g.dilations = a.ints("dilations", Dims(g.rank, 1));
  g.pads = a.ints("pads", Dims(2 * g.rank, 0));
  const std::string auto_pad = a.s("auto_pad", "NOTSET");
  if (auto_pad == "VALID") g.pads.assign(2 * g.rank, 0);
  if (!auto_pad.starts_with("SAME")) return g;
  TREADLE_CHECK(x && w, kUnsupported, "auto_pad is ", auto_pad,
                " and the sizes are known at run time only");
  const ConvParams p = conv_params(a, *x, *w);
  g.pads = p.pads_begin;
  g.pads.insert(g.pads.end(), p.pads_end.begin(), p.pads_end.end());
  return g;
}

ValueId spatial_part(Builder& b, ValueId shape) {
  return b.op("Slice", {shape, b.ints({2}), b.ints({INT64_MAX})});
}

// Cuts spatial axes to [begin, begin + size).
ValueId cut(Builder& b, ValueId x, const Dims& begin, ValueId size) {
  Dims axes(begin.size());
  std::iota(axes.begin(), axes.end(), 2);
  const ValueId from = b.ints(begin);
  return b.op("Slice", {x, from, b.op("Add", {from, size}), b.ints(axes)});
}

// The whole that the windows reach, and up to a stride more, where the stride left cells unused.
std::vector<ValueId> decompose_grad_input(Builder& b, const Node& node) {
  const GradWindow g =
      grad_window(b, node, known_values(b, node.input(2)), known_dims(b, node.input(1)));
  Attributes a = window_attributes(g.strides, g.dilations, Dims(2 * g.rank, 0));
  a.set("group", g.group);
  Dims unused = g.strides;
  for (int64_t& v : unused) --v;
  a.set("output_padding", unused);
  const ValueId whole = b.op("ConvTranspose", {node.input(0), node.input(1)}, a);
  const Dims begin(g.pads.begin(), g.pads.begin() + static_cast<std::ptrdiff_t>(g.rank));
  return {cut(b, whole, begin, spatial_part(b, node.input(2)))};
}

ValueId swap_front(Builder& b, ValueId x, size_t rank) {
  Dims permutation(rank);
  std::iota(permutation.begin(), permutation.end(), 0);
  std::swap(permutation[0], permutation[1]);
  return b.op("Transpose", {x}, {{"perm", permutation}});
}

// [N, g*C, …] as [C, g*N, …].
ValueId groups_to_batch(Builder& b, ValueId x, ValueId channels, const GradWindow& g) {
  const ValueId batch = b.op("Shape", {x}, {{"end", int64_t{1}}});
  const ValueId rest = b.op("Shape", {x}, {{"start", int64_t{2}}});
  const ValueId group = b.ints({g.group});
  const Attributes along{{"axis", int64_t{0}}};
  const Attributes exact{{"allowzero", int64_t{1}}};
  const ValueId split =
      b.op("Reshape", {x, b.op("Concat", {batch, group, channels, rest}, along)}, exact);
  Dims permutation(g.rank + 3);
  std::iota(permutation.begin(), permutation.end(), 0);
  std::swap(permutation[0], permutation[2]);
  const ValueId turned = b.op("Transpose", {split}, {{"perm", permutation}});
  const ValueId all = b.op("Mul", {batch, group});
  return b.op("Reshape", {turned, b.op("Concat", {channels, all, rest}, along)}, exact);
}

// A convolution over the batch: strides and dilations change places. Where the stride left cells
// unused the kernel comes out too long.
std::vector<ValueId> decompose_grad_weights(Builder& b, const Node& node) {
  const GradWindow g =
      grad_window(b, node, known_dims(b, node.input(1)), known_values(b, node.input(2)));
  const ValueId shape = node.input(2);
  const ValueId channels = b.op("Slice", {shape, b.ints({1}), b.ints({2})});
  const ValueId x = g.group == 1 ? swap_front(b, node.input(1), g.rank + 2)
                                 : groups_to_batch(b, node.input(1), channels, g);
  Attributes a = window_attributes(g.dilations, g.strides, g.pads);
  a.set("group", g.group);
  const ValueId product = b.op("Conv", {x, swap_front(b, node.input(0), g.rank + 2)}, a);
  return {cut(b, swap_front(b, product, g.rank + 2), Dims(g.rank, 0), spatial_part(b, shape))};
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
    {.kind = "ConvGradInput",
     .inputs = "DY:T W:T shape:int64",
     .outputs = "DX:T",
     .types = "T=floats",
     .attributes = "auto_pad:s=NOTSET dilations:is group:i=1 kernel_shape:is pads:is strides:is",
     .infer = infer_grad_input,
     .eval = eval_grad_input,
     .decompose = decompose_grad_input,
     .domain = "treadle"},
    {.kind = "ConvGradWeights",
     .inputs = "DY:T X:T shape:int64",
     .outputs = "DW:T",
     .types = "T=floats",
     .attributes = "auto_pad:s=NOTSET dilations:is group:i=1 kernel_shape:is pads:is strides:is",
     .infer = infer_grad_weights,
     .eval = eval_grad_weights,
     .decompose = decompose_grad_weights,
     .domain = "treadle"},
};

}  // namespace

std::span<const OpDef> conv_ops() { return kRows; }

}  // namespace treadle

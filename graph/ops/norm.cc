// Normalization by mean and variance: Batch, Instance, Group, Layer and RMS normalization.
#include "graph/ops/activation_parts.h"
#include "graph/ops/arithmetic.h"
#include "graph/ops/cast.h"
#include "graph/ops/expect.h"
#include "graph/ops/families.h"
#include "graph/ops/iterate.h"
#include "graph/ops/op.h"

namespace treadle {
namespace {

struct Moments {
  double sum = 0;
  double squares = 0;  // of the differences from the mean
};

// Of `count` elements in `blocks` blocks of `size`, `stride` apart. Two passes, so that nothing
// cancels.
template <class T>
Moments moments(const T* x, int64_t blocks, int64_t size, int64_t stride) {
  Moments m;
  for (int64_t b = 0; b < blocks; ++b) {
    for (int64_t i = 0; i < size; ++i) m.sum += static_cast<double>(x[b * stride + i]);
  }
  const double mean = m.sum / static_cast<double>(blocks * size);
  for (int64_t b = 0; b < blocks; ++b) {
    for (int64_t i = 0; i < size; ++i) {
      const double d = static_cast<double>(x[b * stride + i]) - mean;
      m.squares += d * d;
    }
  }
  return m;
}

double inverse_std(double variance, const Attributes& a) {
  return 1 / std::sqrt(variance + static_cast<double>(a.f("epsilon", 1e-5f)));
}

// One number a channel, as double.
std::vector<double> per_channel(EvalContext& c, size_t input, int64_t channels) {
  const Tensor& t = c.input(input);
  TREADLE_CHECK(t.count() == channels, kInvalidArgument, "input '", c.node().op->input(input).name,
                "' has shape ", shape_text(t.dims()), ", expected [", channels, "]");
  return t.to_doubles();
}

// A tensor as [batch, channels, the rest].
struct Channels {
  int64_t batch = 1;
  int64_t channels = 1;
  int64_t inner = 1;
};
Channels channels_of(const Tensor& x) {
  TREADLE_CHECK(x.rank() >= 1, kInvalidArgument,
                "expected an input of rank 2 or more, got a scalar");
  Channels s{.batch = x.dim(0)};
  if (x.rank() > 1) s.channels = x.dim(1);
  for (size_t d = 2; d < x.dims().size(); ++d) s.inner *= x.dim(d);
  return s;
}

// y = (x - mean) * scale + shift over one contiguous run.
template <class T>
void normalize_run(const T* x, T* y, int64_t count, const std::array<double, 3>& mean_scale_shift) {
  using C = Compute<T>;
  const auto mean = static_cast<C>(mean_scale_shift[0]);
  const auto scale = static_cast<C>(mean_scale_shift[1]);
  const auto shift = static_cast<C>(mean_scale_shift[2]);
  for (int64_t i = 0; i < count; ++i)
    y[i] = convert<T>((static_cast<C>(x[i]) - mean) * scale + shift);
}

// ---- BatchNormalization

struct Statistics {
  std::vector<double> mean;
  std::vector<double> variance;
};

template <class T>
Statistics batch_statistics(const Tensor& x, const Channels& s) {
  Statistics stats;
  const double count = static_cast<double>(s.batch * s.inner);
  for (int64_t k = 0; k < s.channels; ++k) {
    const Moments m =
        moments(x.data<T>().data() + k * s.inner, s.batch, s.inner, s.channels * s.inner);
    stats.mean.push_back(m.sum / count);
    stats.variance.push_back(m.squares / count);
  }
  return stats;
}

// running = input * momentum + current * (1 - momentum).
void put_running(EvalContext& c, size_t output, const std::vector<double>& before,
                 const std::vector<double>& current) {
  if (!c.wants(output)) return;
  const auto momentum = static_cast<double>(c.attributes().f("momentum", 0.9f));
  Tensor running(DType::kDouble, {static_cast<int64_t>(before.size())});
  for (size_t i = 0; i < before.size(); ++i) {
    running.data<double>()[i] = before[i] * momentum + current[i] * (1 - momentum);
  }
  const DType dtype = c.dtype(output + 2);
  copy_elements(cast_tensor(running, dtype), c.output(output, dtype, running.dims()));
}

void eval_batch_norm(EvalContext& c) {
  const Tensor& x = c.input(0);
  const Channels s = channels_of(x);
  const std::vector<double> scale = per_channel(c, 1, s.channels);
  const std::vector<double> shift = per_channel(c, 2, s.channels);
  Statistics stats{per_channel(c, 3, s.channels), per_channel(c, 4, s.channels)};
  Tensor& y = c.output(0, x.dims());
  dispatch(x.dtype(), FloatTypes{}, [&]<class T>() {
    if (c.attributes().i("training_mode", 0) != 0) {
      const Statistics current = batch_statistics<T>(x, s);
      put_running(c, 1, stats.mean, current.mean);
      put_running(c, 2, stats.variance, current.variance);
      stats = current;
    }
    for (int64_t n = 0; n < s.batch; ++n) {
      for (int64_t k = 0; k < s.channels; ++k) {
        const auto i = static_cast<size_t>(k);
        const int64_t at = (n * s.channels + k) * s.inner;
        normalize_run(
            x.data<T>().data() + at, y.data<T>().data() + at, s.inner,
            {stats.mean[i], scale[i] * inverse_std(stats.variance[i], c.attributes()), shift[i]});
      }
    }
  });
}

void infer_batch_norm(InferContext& c) {
  c.set_shape(0, c.shape(0));
  c.set_shape(1, c.shape(3));
  c.set_shape(2, c.shape(4));
  const Dim channels = c.rank(0) > 1 ? c.shape(0)[1] : Dim(1);
  for (size_t i = 1; i < 5; ++i) {
    const auto dims = concrete(c.shape(i));
    TREADLE_CHECK(!dims || !channels.known() || channels.is(element_count(*dims)), kInvalidModel,
                  "input '", c.node().op->input(i).name, "' has shape ", shape_text(*dims),
                  ", expected [", channels.text(), "]");
  }
}

// ---- InstanceNormalization, GroupNormalization

void normalize_groups(EvalContext& c, int64_t groups) {
  const Tensor& x = c.input(0);
  const Channels s = channels_of(x);
  TREADLE_CHECK(groups > 0 && s.channels % groups == 0, kInvalidModel, groups,
                " groups do not divide ", s.channels, " channels");
  const std::vector<double> scale = per_channel(c, 1, s.channels);
  const std::vector<double> shift = per_channel(c, 2, s.channels);
  const int64_t members = s.channels / groups;
  Tensor& y = c.output(0, x.dims());
  dispatch(x.dtype(), FloatTypes{}, [&]<class T>() {
    for (int64_t g = 0; g < s.batch * groups; ++g) {
      const int64_t size = members * s.inner;
      const T* from = x.data<T>().data() + g * size;
      const Moments m = moments(from, 1, size, size);
      const double inverse = inverse_std(m.squares / static_cast<double>(size), c.attributes());
      for (int64_t k = 0; k < members; ++k) {
        const auto channel = static_cast<size_t>(g % groups * members + k);
        normalize_run(
            from + k * s.inner, y.data<T>().data() + g * size + k * s.inner, s.inner,
            {m.sum / static_cast<double>(size), scale[channel] * inverse, shift[channel]});
      }
    }
  });
}

void eval_instance_norm(EvalContext& c) {
  const int64_t channels = channels_of(c.input(0)).channels;
  normalize_groups(c, std::max<int64_t>(channels, 1));
}
void eval_group_norm(EvalContext& c) { normalize_groups(c, c.attributes().i("num_groups", 0)); }

// ---- LayerNormalization, RMSNormalization

// The axes from `axis` on are normalized together.
struct Layers {
  int64_t count = 1;
  int64_t size = 1;
  Dims statistics;  // dims of Mean and InvStdDev
};
Layers layers_of(const Tensor& x, const Attributes& a) {
  const auto axis = static_cast<size_t>(resolve_axis(a.i("axis", -1), x.rank()));
  Layers layers{.statistics = x.dims()};
  for (size_t d = 0; d < x.dims().size(); ++d) {
    (d < axis ? layers.count : layers.size) *= x.dim(d);
    if (d >= axis) layers.statistics[d] = 1;
  }
  return layers;
}

DType stash_dtype(const Attributes& a) { return static_cast<DType>(a.i("stash_type", 1)); }

void put_statistics(EvalContext& c, size_t output, const Tensor& values) {
  if (!c.wants(output)) return;
  const DType dtype = stash_dtype(c.attributes());
  copy_elements(cast_tensor(values, dtype), c.output(output, dtype, values.dims()));
}

void eval_layer_norm(EvalContext& c) {
  const Tensor& x = c.input(0);
  const Layers layers = layers_of(x, c.attributes());
  expect_broadcast_to(c, 1, x.dims());
  expect_broadcast_to(c, 2, x.dims());
  Tensor means(DType::kDouble, layers.statistics);
  Tensor inverses(DType::kDouble, layers.statistics);
  Tensor& y = c.output(0, x.dims());
  dispatch(x.dtype(), FloatTypes{}, [&]<class T>() {
    using C = Compute<T>;
    Tensor normalized(dtype_of<C>, x.dims());
    for (int64_t n = 0; n < layers.count; ++n) {
      const T* from = x.data<T>().data() + n * layers.size;
      C* to = normalized.data<C>().data() + n * layers.size;
      const Moments m = moments(from, 1, layers.size, layers.size);
      const double mean = m.sum / static_cast<double>(layers.size);
      const double inverse =
          inverse_std(m.squares / static_cast<double>(layers.size), c.attributes());
      for (int64_t i = 0; i < layers.size; ++i) {
        to[i] = (static_cast<C>(from[i]) - static_cast<C>(mean)) * static_cast<C>(inverse);
      }
      if (means.count() != 0) means.data<double>()[static_cast<size_t>(n)] = mean;
      if (means.count() != 0) inverses.data<double>()[static_cast<size_t>(n)] = inverse;
    }
    const Tensor none = Tensor::zeros(x.dtype(), {});
    map_ternary<C, T, T, T>({&normalized, &c.input(1), c.has(2) ? &c.input(2) : &none}, y,
                            [](C v, T scale, T bias) {
                              return convert<T>(v * static_cast<C>(scale) + static_cast<C>(bias));
                            });
  });
  put_statistics(c, 1, means);
  put_statistics(c, 2, inverses);
}

void infer_layer_norm(InferContext& c) {
  const DType stash = stash_dtype(c.attributes());
  TREADLE_CHECK(kFloats.has(stash), kInvalidModel, "attribute 'stash_type' is ",
                c.attributes().i("stash_type", 1), ", expected a floating type");
  c.set_dtype(1, stash);
  c.set_dtype(2, stash);
  c.set_shape(0, c.shape(0));
  Shape statistics = c.shape(0);
  const auto axis = static_cast<size_t>(resolve_axis(c.attributes().i("axis", -1), c.rank(0)));
  for (size_t d = axis; d < statistics.size(); ++d) statistics[d] = 1;
  c.set_shape(1, statistics);
  c.set_shape(2, statistics);
  for (const size_t i : {1, 2}) expect_broadcast_to(c, i, c.shape(0));
}

std::vector<int64_t> last_axes(const Builder& b, const Node& node) {
  int64_t axis = node.attributes.i("axis", -1);
  const auto& shape = b.type(node.input(0)).shape;
  TREADLE_CHECK(axis < 0 || shape, kUnsupported, describe(node), ": the rank of '",
                node.op->input(0).name, "' must be known");
  if (axis >= 0) axis -= static_cast<int64_t>(shape->size());
  std::vector<int64_t> axes;
  for (; axis < 0; ++axis) axes.push_back(axis);
  return axes;
}

std::vector<ValueId> decompose_layer_norm(Builder& b, const Node& node) {
  const DType given = b.type(node.input(0)).dtype, dtype = compute_dtype(given);
  const DType stash = stash_dtype(node.attributes);
  const ValueId x = cast_to(b, node.input(0), dtype), axes = b.ints(last_axes(b, node));
  const ValueId mean = b.op("ReduceMean", {x, axes}), centred = b.op("Sub", {x, mean});
  const ValueId variance = b.op("ReduceMean", {b.op("Mul", {centred, centred}), axes});
  const auto epsilon = static_cast<double>(node.attributes.f("epsilon", 1e-5f));
  const ValueId padded = b.op("Add", {variance, b.scalar(dtype, epsilon)});
  const ValueId inverse = b.op("Reciprocal", {b.op("Sqrt", {padded})});
  ValueId y = b.op("Mul", {b.op("Mul", {centred, inverse}), cast_to(b, node.input(1), dtype)});
  if (node.input(2).valid()) y = b.op("Add", {y, cast_to(b, node.input(2), dtype)});
  std::vector<ValueId> outputs = {cast_to(b, y, given)};
  if (node.outputs.size() > 1) outputs.push_back(cast_to(b, mean, stash));
  if (node.outputs.size() > 2) outputs.push_back(cast_to(b, inverse, stash));
  return outputs;
}

void eval_rms_norm(EvalContext& c) {
  const Tensor& x = c.input(0);
  const Layers layers = layers_of(x, c.attributes());
  expect_broadcast_to(c, 1, x.dims());
  const DType dtype = c.dtype(1);
  const DType wide = x.dtype() == DType::kDouble ? DType::kDouble : DType::kFloat;
  Tensor normalized(wide, x.dims());
  dispatch(wide, Types<float, double>{}, [&]<class C>() {
    const Tensor from = cast_tensor(x, wide);
    for (int64_t n = 0; n < layers.count; ++n) {
      const C* row = from.data<C>().data() + n * layers.size;
      C* to = normalized.data<C>().data() + n * layers.size;
      double squares = 0;
      for (int64_t i = 0; i < layers.size; ++i)
        squares += static_cast<double>(row[i]) * static_cast<double>(row[i]);
      const auto inverse =
          static_cast<C>(inverse_std(squares / static_cast<double>(layers.size), c.attributes()));
      for (int64_t i = 0; i < layers.size; ++i) to[i] = row[i] * inverse;
    }
    const Tensor scale = cast_tensor(c.input(1), wide);
    map_binary<C, C, C>(normalized, scale, normalized, [](C v, C s) { return v * s; });
  });
  copy_elements(cast_tensor(normalized, dtype), c.output(0, dtype, x.dims()));
}

void infer_rms_norm(InferContext& c) {
  resolve_axis(c.attributes().i("axis", -1), c.rank(0));
  infer_same_shape(c);
  expect_broadcast_to(c, 1, c.shape(0));
}

constexpr OpDef kRows[] = {
    {.kind = "BatchNormalization",
     .inputs = "X:T scale:T1 B:T1 input_mean:T2 input_var:T2",
     .outputs = "Y:T running_mean?:T2 running_var?:T2",
     .types = "T=floats T1=floats T2=floats",
     .attributes = "training_mode:i=0 momentum:f=0.9 epsilon:f=1e-05",
     .infer = infer_batch_norm,
     .eval = eval_batch_norm},
    {.kind = "InstanceNormalization",
     .inputs = "input:T scale:T B:T",
     .outputs = "output:T",
     .types = "T=floats",
     .attributes = "epsilon:f=1e-05",
     .infer = infer_same_shape,
     .eval = eval_instance_norm},
    {.kind = "GroupNormalization",
     .inputs = "X:T scale:T bias:T",
     .outputs = "Y:T",
     .types = "T=floats",
     .attributes = "stash_type:i=1 num_groups:i! epsilon:f=1e-05",
     .infer = infer_same_shape,
     .eval = eval_group_norm},
    {.kind = "LayerNormalization",
     .inputs = "X:T Scale:T B?:T",
     .outputs = "Y:T Mean?:U InvStdDev?:U",
     .types = "T=floats U=floats",
     .attributes = "stash_type:i=1 epsilon:f=1e-05 axis:i=-1",
     .infer = infer_layer_norm,
     .eval = eval_layer_norm,
     .decompose = decompose_layer_norm},
    {.kind = "RMSNormalization",
     .inputs = "X:T scale:V",
     .outputs = "Y:V",
     .types = "T=floats V=floats",
     .attributes = "stash_type:i=1 epsilon:f=1e-05 axis:i=-1",
     .infer = infer_rms_norm,
     .eval = eval_rms_norm},
};

}  // namespace

std::span<const OpDef> norm_ops() { return kRows; }

}  // namespace treadle

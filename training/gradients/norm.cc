// Gradients of normalizations. Types narrower than float are computed in float.
#include <numeric>

#include "training/gradients/families.h"

namespace treadle {
namespace {

using Context = GradientContext;

DType wide(DType dtype) { return dtype == DType::kDouble ? dtype : DType::kFloat; }
Expr widened(const Expr& x) { return cast(x, wide(x.dtype())); }

double epsilon(const Context& c) { return static_cast<double>(c.attributes().f("epsilon", 1e-5F)); }

// One number a channel, to broadcast along x.
Expr across(const Expr& v, const Expr& x) {
  if (x.rank() <= 2) return v;
  std::vector<int64_t> shape(static_cast<size_t>(x.rank()) - 1, 1);
  shape[0] = -1;
  return v.op("Reshape", {v.ints(shape)});
}

// ---- BatchNormalization

std::vector<Expr> several(const Expr& x, const char* kind, const std::vector<Expr>& others) {
  std::vector<ValueId> inputs = {x.id()};
  for (const Expr& e : others) inputs.push_back(e.id());
  std::vector<Expr> results;
  for (ValueId v : x.builder().add(kind, inputs, {}, 2, "treadle")) {
    results.emplace_back(x.builder(), v);
  }
  return results;
}

// The elements that each channel has.
Expr channel_count(const Expr& x, const Expr& channels) {
  return count_of(x, x.dtype()) / count_of(channels, x.dtype());
}

struct BatchGradients {
  Expr x, mean, variance;
};

// Through the statistics of the batch, which the running ones take a part of.
void through_batch(Context& c, const Expr& centred, BatchGradients& g) {
  const double own = static_cast<double>(c.attributes().f("momentum", 0.9F));
  const auto running = [&](size_t i, Expr& gradient) {
    if (!c.has_gy(i)) return;
    gradient = gradient + cast(c.gy(i), gradient.dtype()) * (1 - own);
    c.set(i + 2, c.gy(i) * own);
  };
  running(1, g.mean);
  running(2, g.variance);
  const Expr count = channel_count(centred, g.mean);
  g.x = g.x + across(g.mean / count, centred) + centred * across(g.variance * 2 / count, centred);
}

void batch_norm(Context& c) {
  const bool training = c.attributes().i("training_mode", 0) != 0;
  const Expr x = widened(c.x(0));
  const auto as_x = [&](const Expr& v) { return cast(v, x.dtype()); };
  const std::vector<Expr> stats =
      training ? several(x, "BatchStatistics", {}) : std::vector<Expr>{as_x(c.x(3)), as_x(c.x(4))};
  const Expr gy = as_x(c.gy_or_zeros(0));
  const Expr inverse = (stats[1] + epsilon(c)).op("Sqrt").op("Reciprocal");
  const Expr scale = as_x(c.x(1)) * inverse;
  const std::vector<Expr> sums = several(gy, "BatchSums", {x, stats[0]});
  c.set(1, cast(sums[1] * inverse, c.x(1).dtype()));
  c.set(2, cast(sums[0], c.x(2).dtype()));
  BatchGradients g;
  g.x = gy * across(scale, x);
  g.mean = -scale * sums[0];
  g.variance = scale * sums[1] * square(inverse) * -0.5;
  if (training) {
    through_batch(c, x - across(stats[0], x), g);
  } else {
    c.set(3, cast(g.mean, c.x(3).dtype()));
    c.set(4, cast(g.variance, c.x(4).dtype()));
  }
  c.set(0, cast(g.x, c.x(0).dtype()));
}

// ---- The others: over axes of each element of the batch

Expr mean_over(const Expr& x, const std::vector<int64_t>& axes) {
  return axes.empty() ? x : x.op("ReduceMean", {x.ints(axes)});
}

struct Normalized {
  std::vector<int64_t> axes;
  bool centre = true;  // false: the mean counts as 0
  Expr inverse;        // of the deviation
  Expr y;
};

Normalized normalize(const Expr& x, const std::vector<int64_t>& axes, double epsilon, bool centre) {
  Normalized n{.axes = axes, .centre = centre, .inverse = {}, .y = {}};
  const Expr centred = centre ? x - mean_over(x, axes) : x;
  n.inverse = (mean_over(square(centred), axes) + epsilon).op("Sqrt").op("Reciprocal");
  n.y = centred * n.inverse;
  return n;
}

// From the gradient of n.y to that of what was normalized.
Expr back(const Normalized& n, const Expr& g) {
  const Expr along = g - n.y * mean_over(g * n.y, n.axes);
  return (n.centre ? along - mean_over(g, n.axes) : along) * n.inverse;
}

// x's channels in groups: [N, groups, all the others].
Expr grouped(const Expr& x, int64_t groups) {
  int64_t known = 1;
  Expr count = size_of(x, 1);
  for (int64_t i = 1; i < x.rank(); ++i) {
    const Dim d = x.shape()[static_cast<size_t>(i)];
    known = d.known() && known >= 0 ? known * d.value() : -1;
    if (i > 1) count = count * size_of(x, i);
  }
  count = known >= 0 ? x.ints({known / groups}) : count / x.ints({groups});
  return reshape(x, concat({size_of(x, 0), x.ints({groups}), count}, 0));
}

void scale_and_bias(Context& c, const Expr& y) {
  const Expr gy = widened(c.gy());
  std::vector<int64_t> axes(static_cast<size_t>(y.rank()) - 1);
  std::iota(axes.begin(), axes.end(), 1);
  axes[0] = 0;
  if (c.wants(1)) c.set(1, cast(sum(gy * y, axes, false), c.x(1).dtype()));
  if (c.wants(2)) c.set(2, cast(sum(gy, axes, false), c.x(2).dtype()));
}

void group_norm(Context& c) {
  const Expr x = widened(c.x());
  const Expr g = widened(c.gy()) * across(widened(c.x(1)), x);
  const int64_t groups = c.attributes().i("num_groups", 1);
  if (groups < 1) Context::refuse(cat("it has ", groups, " groups"));
  const Normalized n = normalize(grouped(x, groups), {2}, epsilon(c), true);
  scale_and_bias(c, reshape_like(n.y, x));
  if (c.wants(0)) c.set(0, cast(reshape_like(back(n, grouped(g, groups)), x), c.x().dtype()));
}

void instance_norm(Context& c) {
  const Expr x = widened(c.x());
  std::vector<int64_t> axes;
  for (int64_t i = 2; i < x.rank(); ++i) axes.push_back(i);
  const Normalized n = normalize(x, axes, epsilon(c), true);
  scale_and_bias(c, n.y);
  const Expr g = widened(c.gy()) * across(widened(c.x(1)), x);
  if (c.wants(0)) c.set(0, cast(back(n, g), c.x().dtype()));
}

std::vector<int64_t> layer_axes(Context& c) {
  const int64_t first = c.axis_of(c.attributes().i("axis", -1));
  std::vector<int64_t> axes;
  for (int64_t i = first; i < c.x().rank(); ++i) axes.push_back(i);
  return axes;
}

// What the node says of the mean and the deviation; its own where the node says it in a narrower
// type.
Normalized layer(Context& c, const Expr& x) {
  const std::vector<int64_t> axes = layer_axes(c);
  const auto stash = static_cast<DType>(c.attributes().i("stash_type", 1));
  if (stash != x.dtype()) return normalize(x, axes, epsilon(c), true);
  return {.axes = axes, .centre = true, .inverse = c.y(2), .y = (x - c.y(1)) * c.y(2)};
}

void layer_norm(Context& c) {
  const Expr x = widened(c.x());
  const Normalized n = layer(c, x);
  Expr gx;
  const auto add = [&](const Expr& part) { gx = gx.id().valid() ? gx + part : part; };
  if (c.has_gy(0)) {
    const Expr gy = widened(c.gy());
    c.set(1, cast(sum_to(gy * n.y, c.x(1)), c.x(1).dtype()));
    if (c.has(2)) c.set(2, cast(sum_to(gy, c.x(2)), c.x(2).dtype()));
    add(back(n, gy * widened(c.x(1))));
  }
  if (!c.wants(0)) return;
  const Expr count = count_of(x, x.dtype()) / count_of(n.inverse, x.dtype());
  if (c.has_gy(1)) add(expand_like(cast(c.gy(1), x.dtype()) / count, x));
  if (c.has_gy(2)) add(-(cast(c.gy(2), x.dtype()) * square(n.inverse) / count) * n.y);
  c.set(0, cast(gx, c.x().dtype()));
}

void rms_norm(Context& c) {
  const Expr x = widened(c.x());
  const Expr gy = cast(c.gy(), x.dtype());
  const Normalized n = normalize(x, layer_axes(c), epsilon(c), false);
  c.set(1, cast(sum_to(gy * n.y, c.x(1)), c.x(1).dtype()));
  if (c.wants(0)) c.set(0, cast(back(n, gy * cast(c.x(1), x.dtype())), c.x().dtype()));
}

// 0 where the norm is 0.
void lp_norm(Context& c) {
  const Expr x = c.x();
  const std::vector<int64_t> axis = {c.axis_of(c.attributes().i("axis", -1))};
  const bool first = c.attributes().i("p", 2) == 1;
  const Expr norm = x.op(first ? "ReduceL1" : "ReduceL2", {x.ints(axis)});
  const Expr none = equal(norm, 0);
  const Expr slope = first ? x.op("Sign") : c.y();
  const Expr g = c.gy() - slope * sum(c.gy() * c.y(), axis);
  c.set(0, where(none, 0, g / where(none, 1, norm)));
}

// y = x * s^-beta, s = bias + alpha * the mean of the squares of `size` channels around.
void local_response(Context& c) {
  const Attributes& a = c.attributes();
  const auto number = [&](const char* name, float fallback) {
    return static_cast<double>(a.f(name, fallback));
  };
  const double beta = number("beta", 0.75F);
  const double alpha = number("alpha", 1e-4F);
  const Expr x = widened(c.x());
  const Expr gy = widened(c.gy());
  const int64_t before = (a.i("size", 1) - 1) / 2;
  const int64_t after = a.i("size", 1) - 1 - before;
  const auto around = [&](const Expr& v, int64_t from, int64_t to) {
    std::vector<int64_t> kernel(static_cast<size_t>(v.rank()) - 1, 1);
    std::vector<int64_t> pads(2 * kernel.size(), 0);
    kernel[0] = a.i("size", 1);
    pads[0] = from;
    pads[kernel.size()] = to;
    const Attributes window{
        {"kernel_shape", kernel}, {"pads", pads}, {"count_include_pad", int64_t{1}}};
    return squeeze(unsqueeze(v, {1}).op("AveragePool", window), {1});
  };
  const Expr s = around(square(x), before, after) * alpha + number("bias", 1);
  const Expr power = s.op("Pow", {s.number(-beta)});
  const Expr others = around(gy * x * power / s, after, before);
  c.set(0, cast(gy * power - x * others * (2 * alpha * beta), c.x().dtype()));
}

constexpr GradientDef kRules[] = {
    {"BatchNormalization", batch_norm},
    {"GroupNormalization", group_norm},
    {"InstanceNormalization", instance_norm},
    {"LayerNormalization", layer_norm},
    {"RMSNormalization", rms_norm},
    {"LpNormalization", lp_norm},
    {"LRN", local_response},
};

}  // namespace

std::span<const GradientDef> norm_gradients() { return kRules; }

}  // namespace treadle

// Gradients of convolutions. Conv and its two gradients are each bilinear, and the derivatives of
// any of them are the other two.
#include <algorithm>
#include <numeric>

#include "graph/ops/conv_params.h"
#include "training/gradients/families.h"

namespace treadle {
namespace {

using Context = GradientContext;

Expr conv(const Expr& x, const Expr& w, const Attributes& a) { return x.op("Conv", {w}, a); }
Expr grad_input(const Expr& gy, const Expr& w, const Expr& like, const Attributes& a) {
  return gy.op("ConvGradInput", {w, shape_of(like)}, a, "treadle");
}
Expr grad_weights(const Expr& gy, const Expr& x, const Expr& like, const Attributes& a) {
  return gy.op("ConvGradWeights", {x, shape_of(like)}, a, "treadle");
}

void set_bias(Context& c) {
  if (!c.has(2) || !c.wants(2)) return;
  std::vector<int64_t> axes(static_cast<size_t>(c.gy().rank()) - 1);
  std::iota(axes.begin(), axes.end(), 1);
  axes[0] = 0;
  c.set(2, sum(c.gy(), axes, false));
}

void conv_gradient(Context& c) {
  const Attributes& a = c.attributes();
  if (c.wants(0)) c.set(0, grad_input(c.gy(), c.x(1), c.x(0), a));
  if (c.wants(1)) c.set(1, grad_weights(c.gy(), c.x(0), c.x(1), a));
  set_bias(c);
}

void of_grad_input(Context& c) {
  const Attributes& a = c.attributes();
  if (c.wants(0)) c.set(0, conv(c.gy(), c.x(1), a));
  if (c.wants(1)) c.set(1, grad_weights(c.x(0), c.gy(), c.x(1), a));
}

void of_grad_weights(Context& c) {
  const Attributes& a = c.attributes();
  if (c.wants(0)) c.set(0, conv(c.x(1), c.gy(), a));
  if (c.wants(1)) c.set(1, grad_input(c.x(0), c.gy(), c.x(1), a));
}

// ---- ConvTranspose: the gradient of a Conv from y to x

struct Mirror {
  Attributes attributes;  // of that Conv
  Dims beyond;            // cells at y's end that no window reaches, where they make up a stride
};

// The pads follow from the sizes under auto_pad and output_shape; else from the attributes.
struct Pads {
  Dims begin;
  Dims end;  // negative: cells of y beyond the last window
};
Pads transpose_pads(Context& c) {
  const Attributes& a = c.attributes();
  const auto rank = static_cast<size_t>(c.x().rank()) - 2;
  if (a.ints("output_shape").empty() && !a.s("auto_pad", "NOTSET").starts_with("SAME")) {
    Dims pads = a.ints("pads", Dims(2 * rank, 0));
    if (a.s("auto_pad", "NOTSET") == "VALID") pads.assign(2 * rank, 0);
    const auto middle = pads.begin() + static_cast<std::ptrdiff_t>(rank);
    Pads p{{pads.begin(), middle}, {middle, pads.end()}};
    const Dims more = a.ints("output_padding", Dims(rank, 0));
    for (size_t i = 0; i < rank; ++i) p.end[i] -= more[i];
    return p;
  }
  const auto x = concrete(c.x(0).shape());
  const auto w = concrete(c.x(1).shape());
  if (!x || !w) Context::refuse("its pads follow from sizes that are known at run time only");
  const ConvParams params = conv_transpose_params(a, *x, *w);
  Pads p{params.pads_begin, Dims(rank)};
  for (size_t i = 0; i < rank; ++i) {
    p.end[i] = (params.input[i] - 1) * params.strides[i] + params.extent(i) - params.output[i] -
               params.pads_begin[i];
  }
  return p;
}

Mirror mirror(Context& c) {
  const Attributes& a = c.attributes();
  Pads p = transpose_pads(c);
  const Dims strides = a.ints("strides", Dims(p.end.size(), 1));
  Mirror m{.attributes = {}, .beyond = Dims(p.end.size(), 0)};
  for (size_t i = 0; i < p.end.size(); ++i) {
    if (-p.end[i] >= strides[i]) m.beyond[i] = -p.end[i];
    p.begin.push_back(std::max<int64_t>(0, p.end[i]));
  }
  m.attributes.set("pads", p.begin);
  m.attributes.set("strides", strides);
  m.attributes.set("group", a.i("group", 1));
  if (a.has("dilations")) m.attributes.set("dilations", a.ints("dilations"));
  return m;
}

Expr without(Expr y, const Dims& beyond) {
  for (size_t i = 0; i < beyond.size(); ++i) {
    if (beyond[i] > 0) y = slice(y, static_cast<int64_t>(i) + 2, 0, -beyond[i]);
  }
  return y;
}

void conv_transpose(Context& c) {
  set_bias(c);
  if (!c.wants(0) && !c.wants(1)) return;
  const Mirror m = mirror(c);
  const Expr gy = without(c.gy(), m.beyond);
  if (c.wants(0)) c.set(0, conv(gy, c.x(1), m.attributes));
  if (c.wants(1)) c.set(1, grad_weights(c.x(0), gy, c.x(1), m.attributes));
}

constexpr GradientDef kRules[] = {
    {"Conv", conv_gradient},
    {"ConvTranspose", conv_transpose},
    {"ConvGradInput", of_grad_input, nullptr, "treadle"},
    {"ConvGradWeights", of_grad_weights, nullptr, "treadle"},
};

}  // namespace

std::span<const GradientDef> conv_gradients() { return kRules; }

}  // namespace treadle

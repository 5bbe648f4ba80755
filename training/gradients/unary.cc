// Gradients of the elementwise functions of one input. At a kink the value is PyTorch's; Clip keeps
// the gradient on its bounds.
#include <numbers>

#include "training/gradients/families.h"

namespace treadle {
namespace {

using Context = GradientContext;

// The incoming gradient times the derivative that F gives.
template <auto F>
void times(Context& c) {
  c.set(0, c.gy() * F(c));
}

// Keeps the incoming gradient where F holds.
template <auto F>
void masked(Context& c) {
  c.set(0, where(F(c), c.gy(), 0));
}

Expr sigmoid(const Expr& x) { return x.op("Sigmoid"); }
double attribute(const Context& c, const char* name, double fallback) {
  return static_cast<double>(c.attributes().f(name, static_cast<float>(fallback)));
}

// exp of what is at most 0, so that the branch not taken cannot overflow.
Expr exp_below_zero(const Expr& x) { return x.op("Min", {x.number(0)}).op("Exp"); }

void leaky_relu(Context& c) {
  const double alpha = attribute(c, "alpha", 0.01);
  c.set(0, where(less(0, c.x()), c.gy(), c.gy() * alpha));
}

// alpha * (exp(x / scale) - 1) below zero, slope above it otherwise.
void exponential_unit(Context& c, double alpha, double scale, double slope) {
  const Expr below = exp_below_zero(scale == 1 ? c.x() : c.x() / scale) * (alpha / scale);
  c.set(0, c.gy() * where(less(0, c.x()), slope, below));
}
void elu(Context& c) { exponential_unit(c, attribute(c, "alpha", 1), 1, 1); }
void celu(Context& c) {
  const double alpha = attribute(c, "alpha", 1);
  exponential_unit(c, alpha, alpha, 1);
}
void selu(Context& c) {
  const double gamma = attribute(c, "gamma", 1.05070102214813232421875);
  exponential_unit(c, attribute(c, "alpha", 1.67326319217681884765625) * gamma, 1, gamma);
}

void hard_sigmoid(Context& c) {
  const Expr inside = less(0, c.y()).op("And", {less(c.y(), 1)});
  c.set(0, where(inside, c.gy() * attribute(c, "alpha", 0.2), 0));
}

Expr hard_swish(Context& c) {
  const Expr x = c.x();
  return where(less(-3, x), where(less(x, 3), x / 3 + 0.5, 1), x.number(0));
}

Expr swish(Context& c) {
  const double alpha = attribute(c, "alpha", 1);
  const Expr z = alpha == 1 ? c.x() : c.x() * alpha;
  const Expr s = sigmoid(z);
  return s + z * s * (1 - s);
}

Expr mish(Context& c) {
  const Expr t = c.x().op("Softplus").op("Tanh");
  return t + c.x() * (1 - square(t)) * sigmoid(c.x());
}

Expr gelu(Context& c) {
  const Expr x = c.x();
  if (c.attributes().s("approximate", "none") == "tanh") {
    const double scale = std::numbers::sqrt2 * std::numbers::inv_sqrtpi;
    const Expr cubic = square(x) * 0.044715;
    const Expr t = (x * (1 + cubic) * scale).op("Tanh");
    return 0.5 * (1 + t) + 0.5 * x * (1 - square(t)) * scale * (1 + 3 * cubic);
  }
  const Expr density =
      (square(x) * -0.5).op("Exp") * (std::numbers::inv_sqrtpi / std::numbers::sqrt2);
  return 0.5 * (1 + (x / std::numbers::sqrt2).op("Erf")) + x * density;
}

Expr erf(Context& c) { return (-square(c.x())).op("Exp") * (2 * std::numbers::inv_sqrtpi); }

// Where the lower bound is above the upper one, Clip gives the upper one.
void clip(Context& c) {
  const Expr x = c.x();
  const Expr nothing = c.gy().number(0);
  Expr inside = c.gy();
  Expr raised = x;
  if (c.has(2)) {
    if (c.has(1)) raised = x.op("Max", {c.x(1)});
    const Expr over = less(c.x(2), raised);
    c.set_broadcast(2, where(over, c.gy(), nothing));
    inside = where(over, nothing, inside);
  }
  if (c.has(1)) {
    const Expr under = less(x, c.x(1));
    c.set_broadcast(1, where(under, inside, nothing));
    inside = where(under, nothing, inside);
  }
  c.set(0, inside);
}

constexpr auto kAbove = [](Context& c) { return less(0, c.y()); };
constexpr auto kAboveAlpha = [](Context& c) {
  return less(c.x().number(attribute(c, "alpha", 1)), c.x());
};
constexpr auto kAboveLambda = [](Context& c) {
  return less(c.x().number(attribute(c, "lambd", 0.5)), c.x().op("Abs"));
};

constexpr GradientDef kRules[] = {
    {"Relu", masked<kAbove>},
    {"Neg", [](Context& c) { c.set(0, -c.gy()); }},
    {"Abs", times<[](Context& c) { return c.x().op("Sign"); }>},
    {"Sigmoid", times<[](Context& c) { return c.y() * (1 - c.y()); }>},
    {"Tanh", times<[](Context& c) { return 1 - square(c.y()); }>},
    {"Exp", times<[](Context& c) { return c.y(); }>},
    {"Log", [](Context& c) { c.set(0, c.gy() / c.x()); }},
    {"Sqrt", [](Context& c) { c.set(0, c.gy() / (2 * c.y())); }},
    {"Reciprocal", [](Context& c) { c.set(0, -c.gy() * square(c.y())); }},
    {"Erf", times<erf>},
    {"Sin", times<[](Context& c) { return c.x().op("Cos"); }>},
    {"Cos", times<[](Context& c) { return -c.x().op("Sin"); }>},
    {"Tan", times<[](Context& c) { return 1 + square(c.y()); }>},
    {"Asin", [](Context& c) { c.set(0, c.gy() / (1 - square(c.x())).op("Sqrt")); }},
    {"Acos", [](Context& c) { c.set(0, -c.gy() / (1 - square(c.x())).op("Sqrt")); }},
    {"Atan", [](Context& c) { c.set(0, c.gy() / (1 + square(c.x()))); }},
    {"Sinh", times<[](Context& c) { return c.x().op("Cosh"); }>},
    {"Cosh", times<[](Context& c) { return c.x().op("Sinh"); }>},
    {"Asinh", [](Context& c) { c.set(0, c.gy() / (square(c.x()) + 1).op("Sqrt")); }},
    {"Acosh", [](Context& c) { c.set(0, c.gy() / (square(c.x()) - 1).op("Sqrt")); }},
    {"Atanh", [](Context& c) { c.set(0, c.gy() / (1 - square(c.x()))); }},
    {"Softplus", times<[](Context& c) { return sigmoid(c.x()); }>},
    {"Softsign", [](Context& c) { c.set(0, c.gy() / square(1 + c.x().op("Abs"))); }},
    {"Mish", times<mish>},
    {"HardSwish", times<hard_swish>},
    {"LeakyRelu", leaky_relu},
    {"Elu", elu},
    {"Celu", celu},
    {"Selu", selu},
    {"ThresholdedRelu", masked<kAboveAlpha>},
    {"Shrink", masked<kAboveLambda>},
    {"HardSigmoid", hard_sigmoid},
    {"Swish", times<swish>},
    {"Gelu", times<gelu>},
    {"Clip", clip},
    {"Ceil"},
    {"Floor"},
    {"Round"},
    {"Sign"},
};

}  // namespace

std::span<const GradientDef> unary_gradients() { return kRules; }

}  // namespace treadle

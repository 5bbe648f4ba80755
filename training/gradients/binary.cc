// Gradients of the elementwise functions of several inputs, which broadcast.
#include "training/gradients/families.h"

namespace treadle {
namespace {

using Context = GradientContext;

void add(Context& c) {
  for (size_t i = 0; i < c.input_count(); ++i) {
    if (c.wants(i)) c.set_broadcast(i, c.gy());
  }
}

void sub(Context& c) {
  if (c.wants(0)) c.set_broadcast(0, c.gy());
  if (c.wants(1)) c.set_broadcast(1, -c.gy());
}

void mul(Context& c) {
  if (c.wants(0)) c.set_broadcast(0, c.gy() * c.x(1));
  if (c.wants(1)) c.set_broadcast(1, c.gy() * c.x(0));
}

void div(Context& c) {
  if (c.wants(0)) c.set_broadcast(0, c.gy() / c.x(1));
  if (c.wants(1)) c.set_broadcast(1, -c.gy() * (c.y() / c.x(1)));
}

// The quotient that was cut off is piecewise constant; rounding takes away its noise.
void mod(Context& c) {
  if (c.wants(0)) c.set_broadcast(0, c.gy());
  if (!c.wants(1)) return;
  const Expr quotient = ((c.x(0) - c.y()) / c.x(1)).op("Round");
  c.set_broadcast(1, -c.gy() * quotient);
}

// d x^e / dx = e x^(e-1), 0 for e = 0 whatever x is.
Expr pow_base(const Expr& x, const Expr& e) {
  const Tensor known = e.constant();
  if (known.defined() && known.count() == 1 && known.to_doubles()[0] == 2) return x * 2;
  const Expr none = equal(e, 0);
  const Expr power = where(none, 1, e) - 1;
  return where(none, 0, e * x.op("Pow", {power}));
}

// d x^e / de = x^e log x, 0 where x = 0 and e >= 0.
Expr pow_exponent(const Expr& x, const Expr& e, const Expr& y) {
  const Expr none = equal(x, 0).op("And", {less(e, 0).op("Not")});
  return where(none, 0, y * where(none, 1, x).op("Log"));
}

void pow(Context& c) {
  const Expr e = cast(c.x(1), c.x(0).dtype());
  if (c.wants(0)) c.set_broadcast(0, c.gy() * pow_base(c.x(0), e));
  if (!c.wants(1)) return;
  const Expr gradient = c.gy() * pow_exponent(c.x(0), e, c.y());
  c.set(1, sum_to(cast(gradient, c.x(1).dtype()), c.x(1)));
}

void mean(Context& c) {
  const Expr share = c.gy() / static_cast<double>(c.input_count());
  for (size_t i = 0; i < c.input_count(); ++i) {
    if (c.wants(i)) c.set_broadcast(i, share);
  }
}

// Max and Min: equal ones share.
void extremum(Context& c) {
  if (c.input_count() == 1) return c.set(0, c.gy());
  std::vector<Expr> chosen;
  Expr count;
  for (size_t i = 0; i < c.input_count(); ++i) {
    chosen.push_back(cast(equal(c.x(i), c.y()), c.gy().dtype()));
    count = i == 0 ? chosen[0] : count + chosen.back();
  }
  const Expr share = c.gy() / count;
  for (size_t i = 0; i < c.input_count(); ++i) {
    if (c.wants(i)) c.set_broadcast(i, share * chosen[i]);
  }
}

void select(Context& c) {
  if (c.wants(1)) c.set_broadcast(1, where(c.x(0), c.gy(), 0));
  if (c.wants(2)) c.set_broadcast(2, where(c.x(0), 0, c.gy()));
}

// The slope belongs to x <= 0.
void prelu(Context& c) {
  const Expr above = less(0, c.x());
  if (c.wants(0)) c.set(0, where(above, c.gy(), c.gy() * c.x(1)));
  if (c.wants(1)) c.set_broadcast(1, where(above, 0, c.gy() * c.x()));
}

constexpr GradientDef kRules[] = {
    {"Add", add},      {"Sub", sub},      {"Mul", mul},      {"Div", div},
    {"Mod", mod},      {"Pow", pow},      {"Sum", add},      {"Mean", mean},
    {"Max", extremum}, {"Min", extremum}, {"Where", select}, {"PRelu", prelu},
};

}  // namespace

std::span<const GradientDef> binary_gradients() { return kRules; }

}  // namespace treadle

// Gradients of running sums and products, and of ranges.
#include "training/gradients/families.h"

namespace treadle {
namespace {

using Context = GradientContext;

// The running sum that runs the other way.
Expr sum_back(Context& c, const Expr& x) {
  Attributes attributes = c.attributes();
  attributes.set("reverse", int64_t{c.attributes().i("reverse", 0) != 0 ? 0 : 1});
  return x.op("CumSum", {c.x(1)}, attributes);
}

void cum_sum(Context& c) { c.set(0, sum_back(c, c.gy())); }

// Beyond the first 0 all products are 0; its own gradient is of the products without it. (Whose own
// gradient is wrong just at zeros.)
Expr product_by_division(Context& c) {
  const Expr x = c.x();
  const Expr is_zero = equal(x, 0);
  Attributes inclusive = c.attributes();
  inclusive.erase("exclusive");
  const Expr zeros = cast(is_zero, x.dtype()).op("CumSum", {c.x(1)}, inclusive);
  const Expr first = is_zero.op("And", {equal(zeros, 1)});
  const Expr without = where(first, 1, x).op("CumProd", {c.x(1)}, c.attributes());
  return where(first, sum_back(c, c.gy() * without),
               sum_back(c, c.gy() * c.y()) / where(is_zero, 1, x));
}

// bool [n, n]: whether result k takes element j.
Tensor taken(const Context& c, int64_t n) {
  const bool reverse = c.attributes().i("reverse", 0) != 0;
  const bool exclusive = c.attributes().i("exclusive", 0) != 0;
  Tensor t(DType::kBool, {n, n});
  for (int64_t k = 0; k < n; ++k) {
    for (int64_t j = 0; j < n; ++j) {
      const bool before = reverse ? j > k : j < k;
      t.data<bool>()[static_cast<size_t>(k * n + j)] = before || (!exclusive && j == k);
    }
  }
  return t;
}

// The derivative of each result by each element is a product of others: no division, so that it is
// right at zeros, and so are its derivatives.
Expr product_by_others(Context& c, int64_t axis, int64_t n) {
  std::vector<int64_t> order;
  for (int64_t d = 0; d < c.x().rank(); ++d) order.push_back(d);
  std::swap(order[static_cast<size_t>(axis)], order.back());  // its own inverse
  const Expr takes = c.constant(taken(c, n));
  const Expr index = range(c.ints({n}));
  const Expr apart = equal(unsqueeze(index, {1}), index).op("Not");
  const Expr factors = both(unsqueeze(takes, {1}), apart);  // [result, element, factor]
  const Expr x = unsqueeze(transpose(c.x(), order), {-2, -3});
  const Expr others =
      where(factors, x, 1).op("ReduceProd", {c.ints({-1})}, {{"keepdims", int64_t{0}}});
  const Expr gy = unsqueeze(transpose(c.gy(), order), {-2});
  return transpose(squeeze(matmul(gy, where(takes, others, 0)), {-2}), order);
}

void cum_prod(Context& c) {
  constexpr int64_t kSmall = 16;
  if (c.x(1).constant().defined()) {
    const int64_t axis = c.axis_of(c.known_ints(1).at(0));
    const Dim n = c.x().shape()[static_cast<size_t>(axis)];
    if (n.known() && n.value() <= kSmall) return c.set(0, product_by_others(c, axis, n.value()));
  }
  c.set(0, product_by_division(c));
}

// start + i * delta.
void range(Context& c) {
  const Expr gy = c.gy();
  const Attributes all{{"keepdims", int64_t{0}}};
  if (c.wants(0)) c.set(0, gy.op("ReduceSum", all));
  if (!c.wants(2)) return;
  const Expr steps = cast(numbered(gy), gy.dtype()) - 1;
  c.set(2, (gy * steps).op("ReduceSum", all));
}

constexpr GradientDef kRules[] = {
    {"CumSum", cum_sum}, {"CumProd", cum_prod}, {"Range", range},
    {"EyeLike"},         {"RandomUniformLike"}, {"RandomNormalLike"},
    {"Bernoulli"},       {"Multinomial"},       {"BitCast"},
};

}  // namespace

std::span<const GradientDef> prefix_gradients() { return kRules; }

}  // namespace treadle

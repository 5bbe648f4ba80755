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

// Beyond the first 0 all products are 0; its own gradient is of the products without it.
void cum_prod(Context& c) {
  const Expr x = c.x();
  const Expr is_zero = equal(x, 0);
  Attributes inclusive = c.attributes();
  inclusive.erase("exclusive");
  const Expr zeros = cast(is_zero, x.dtype()).op("CumSum", {c.x(1)}, inclusive);
  const Expr first = is_zero.op("And", {equal(zeros, 1)});
  const Expr without = where(first, 1, x).op("CumProd", {c.x(1)}, c.attributes());
  c.set(0, where(first, sum_back(c, c.gy() * without),
                 sum_back(c, c.gy() * c.y()) / where(is_zero, 1, x)));
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

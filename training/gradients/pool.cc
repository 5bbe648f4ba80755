// Gradients of pools. Of equal cells the first is the largest.
#include "training/gradients/families.h"

namespace treadle {
namespace {

using Context = GradientContext;

void max_pool(Context& c) {
  c.set(0, c.gy().op("MaxPoolGrad", {c.x()}, c.attributes(), "treadle"));
}

// It picks from what comes in: the cell of each window that was the largest.
void of_max_pool_grad(Context& c) {
  Attributes attributes = c.attributes();
  attributes.erase("storage_order");
  const Expr indices(c.builder(), c.builder().add("MaxPool", {c.x(1).id()}, attributes, 2)[1]);
  c.set(0, reshape_like(flat(c.gy()).op("GatherElements", {flat(indices)}), c.x(0)));
}

Expr average_back(const Expr& gy, const Expr& x, const Attributes& attributes) {
  return gy.op("AveragePoolGrad", {x}, attributes, "treadle");
}

void average_pool(Context& c) { c.set(0, average_back(c.gy(), c.x(), c.attributes())); }
void of_average_pool_grad(Context& c) { c.set(0, c.gy().op("AveragePool", c.attributes())); }

// The derivative of |x|^p / p.
Expr power_slope(const Expr& x, int64_t p) {
  if (p == 1) return x.op("Sign");
  if (p == 2) return x;
  return x.op("Sign") * x.op("Abs").op("Pow", {x.number(static_cast<double>(p - 1))});
}

// gy * y^(1-p); 0 where the norm y is 0.
Expr norm_share(const Expr& gy, const Expr& y, int64_t p) {
  if (p == 1) return gy;
  const Expr none = equal(y, 0);
  const Expr base = where(none, 1, y);
  const Expr scale = p == 2 ? base : base.op("Pow", {y.number(static_cast<double>(p - 1))});
  return where(none, 0, gy / scale);
}

// A window's sum is its mean times how many cells it has.
void lp_pool(Context& c) {
  const int64_t p = c.attributes().i("p", 2);
  Attributes window = c.attributes();
  window.erase("p");
  Attributes counting = window;
  counting.set("p", int64_t{1});
  const Expr cells = ones_like(c.x()).op("LpPool", counting);
  const Expr share = norm_share(c.gy(), c.y(), p) * cells;
  c.set(0, average_back(share, c.x(), window) * power_slope(c.x(), p));
}

void global_average_pool(Context& c) {
  const Expr x = c.x();
  const Expr count = count_of(x, x.dtype()) / count_of(c.gy(), x.dtype());
  c.set(0, expand_like(c.gy() / count, x));
}

void global_lp_pool(Context& c) {
  const int64_t p = c.attributes().i("p", 2);
  c.set(0, norm_share(c.gy(), c.y(), p) * power_slope(c.x(), p));
}

// [N, C, …] as [N, C, all the others].
Expr planes(const Expr& x) {
  Expr count = size_of(x, 2);
  for (int64_t i = 3; i < x.rank(); ++i) count = count * size_of(x, i);
  return reshape(x, concat({size_of(x, 0), size_of(x, 1), count}, 0));
}

void global_max_pool(Context& c) {
  const Expr x = planes(c.x());
  const Attributes last{{"axis", int64_t{2}}};
  const Expr first = x.op("ArgMax", last);
  const Expr spread = zeros_like(x).op("ScatterElements", {first, planes(c.gy())}, last);
  c.set(0, reshape_like(spread, c.x()));
}

// In double, which holds all numbers of cells.
void max_unpool(Context& c) {
  std::vector<Expr> others = {c.x(1)};
  if (c.has(2)) others.push_back(c.x(2));
  const Expr numbers =
      cast(numbered(c.x()), DType::kDouble).op("MaxUnpool", others, c.attributes());
  c.set(0, scatter_numbered(c.gy(), cast(numbers, DType::kInt64), c.x()));
}

constexpr GradientDef kRules[] = {
    {"MaxPool", max_pool},
    {"AveragePool", average_pool},
    {"LpPool", lp_pool},
    {"GlobalAveragePool", global_average_pool},
    {"GlobalLpPool", global_lp_pool},
    {"GlobalMaxPool", global_max_pool},
    {"MaxUnpool", max_unpool},
    {"MaxPoolGrad", of_max_pool_grad, nullptr, "treadle"},
    {"AveragePoolGrad", of_average_pool_grad, nullptr, "treadle"},
};

}  // namespace

std::span<const GradientDef> pool_gradients() { return kRules; }

}  // namespace treadle

// Gradients of reductions: what comes in is spread over what was reduced.
#include <algorithm>

#include "training/gradients/families.h"

namespace treadle {
namespace {

using Context = GradientContext;

bool keeps_dims(const Context& c) { return c.attributes().i("keepdims", 1) != 0; }
bool has_axes(const Context& c) { return c.input_count() > 1 && c.has(1); }

// The same reduction by another operator, with the reduced axes kept.
Expr reduce_kept(Context& c, std::string_view kind, const Expr& x) {
  Attributes attributes = c.attributes();
  attributes.set("keepdims", int64_t{1});
  return has_axes(c) ? x.op(kind, {c.x(1)}, attributes) : x.op(kind, attributes);
}

// A result of the node with the reduced axes as axes of size 1. Without axes all are reduced, or
// none: then nothing is lost by the reshape either.
Expr kept(Context& c, const Expr& result) {
  if (keeps_dims(c)) return result;
  if (has_axes(c) && c.x(1).constant().defined() && c.x(1).constant().count() > 0) {
    return unsqueeze(result, c.known_ints(1));
  }
  return reshape_like(result, reduce_kept(c, "ReduceSum", c.x()));
}

// Of the elements that each result is made of, as a scalar of x's dtype.
Expr group_count(Context& c) {
  const Expr x = c.x();
  const Expr y = c.y();
  const auto from = x.type().shape ? concrete(x.shape()) : std::nullopt;
  const auto to = y.type().shape ? concrete(y.shape()) : std::nullopt;
  if (from && to && element_count(*to) > 0) {
    return x.number(static_cast<double>(element_count(*from) / element_count(*to)));
  }
  return count_of(x, x.dtype()) / count_of(y, x.dtype()).op("Max", {x.number(1)});
}

void spread(Context& c, const Expr& gradient) { c.set(0, expand_like(gradient, c.x())); }

void reduce_sum(Context& c) { spread(c, kept(c, c.gy())); }
void reduce_mean(Context& c) { spread(c, kept(c, c.gy() / group_count(c))); }

// For each index along the axis, whose size is known: the product of the others. No division, so
// that it is right at zeros too, and so are its derivatives.
Expr product_of_others(const Expr& x, int64_t axis, int64_t size) {
  std::vector<int64_t> trailing;
  for (int64_t d = axis + 1; d < x.rank(); ++d) trailing.push_back(d - axis + 1);
  const Expr index = range(x.ints({size}));
  const Expr own = unsqueeze(equal(unsqueeze(index, {1}), index), trailing);
  const Expr kept_out = where(own, 1, unsqueeze(x, {axis}));
  return kept_out.op("ReduceProd", {x.ints({axis + 1})}, {{"keepdims", int64_t{0}}});
}

// The reduced axes and their sizes, where they are known and small.
std::vector<std::pair<int64_t, int64_t>> small_axes(Context& c) {
  constexpr int64_t kSmall = 64;
  std::vector<int64_t> axes;
  if (has_axes(c)) {
    if (!c.x(1).constant().defined()) return {};
    axes = c.known_ints(1);
  }
  if (axes.empty() && c.attributes().i("noop_with_empty_axes", 0) != 0) return {};
  const Shape shape = c.x().shape();
  if (axes.empty()) {
    for (size_t d = 0; d < shape.size(); ++d) axes.push_back(static_cast<int64_t>(d));
  }
  std::vector<std::pair<int64_t, int64_t>> small;
  for (int64_t axis : axes) {
    const int64_t at = c.axis_of(axis);
    const Dim size = shape[static_cast<size_t>(at)];
    if (!size.known() || size.value() > kSmall) return {};
    small.emplace_back(at, size.value());
  }
  return small;
}

// Without division by an element that is 0: where there is one, only it has a gradient. (Whose own
// gradient is wrong just there.)
Expr product_by_division(Context& c) {
  const Expr x = c.x();
  const Expr is_zero = equal(x, 0);
  const Expr others = reduce_kept(c, "ReduceProd", where(is_zero, 1, x));
  const Expr zeros = reduce_kept(c, "ReduceSum", cast(is_zero, x.dtype()));
  const Expr at_zero = where(equal(zeros, 1), others, 0);
  const Expr elsewhere = where(equal(zeros, 0), others, 0) / where(is_zero, 1, x);
  return where(is_zero, at_zero, elsewhere);
}

// Axis by axis: the others along it, of the products over the axes before it.
void reduce_prod(Context& c) {
  const auto axes = small_axes(c);
  if (axes.empty()) return c.set(0, kept(c, c.gy()) * product_by_division(c));
  Expr products = c.x();
  Expr gradient = kept(c, c.gy());
  for (const auto& [axis, size] : axes) {
    gradient = gradient * product_of_others(products, axis, size);
    products = products.op("ReduceProd", {c.ints({axis})}, {{"keepdims", int64_t{1}}});
  }
  c.set(0, gradient);
}

// Equal ones share.
void extremum(Context& c) {
  const Expr chosen = cast(equal(c.x(), kept(c, c.y())), c.x().dtype());
  c.set(0, chosen * (kept(c, c.gy()) / reduce_kept(c, "ReduceSum", chosen)));
}

void reduce_l1(Context& c) { c.set(0, kept(c, c.gy()) * c.x().op("Sign")); }

// 0 where the norm is 0.
void reduce_l2(Context& c) {
  const Expr norm = kept(c, c.y());
  const Expr none = equal(norm, 0);
  const Expr scale = where(none, 0, kept(c, c.gy()) / where(none, 1, norm));
  c.set(0, scale * c.x());
}

void reduce_sum_square(Context& c) { c.set(0, kept(c, c.gy()) * c.x() * 2); }
void reduce_log_sum(Context& c) { spread(c, kept(c, c.gy()) / reduce_kept(c, "ReduceSum", c.x())); }
void reduce_log_sum_exp(Context& c) {
  c.set(0, kept(c, c.gy()) * (c.x() - kept(c, c.y())).op("Exp"));
}

constexpr GradientDef kRules[] = {
    {"ReduceSum", reduce_sum},        {"ReduceMean", reduce_mean},
    {"ReduceProd", reduce_prod},      {"ReduceMax", extremum},
    {"ReduceMin", extremum},          {"ReduceL1", reduce_l1},
    {"ReduceL2", reduce_l2},          {"ReduceSumSquare", reduce_sum_square},
    {"ReduceLogSum", reduce_log_sum}, {"ReduceLogSumExp", reduce_log_sum_exp},
};

}  // namespace

std::span<const GradientDef> reduce_gradients() { return kRules; }

}  // namespace treadle

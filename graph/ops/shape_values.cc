#include "graph/ops/shape_values.h"

#include "graph/ops/arithmetic.h"

namespace treadle {
namespace {

bool both_known(const Dim& a, const Dim& b) { return a.known() && b.known(); }

}  // namespace

void infer_values(InferContext& c, DimFn f) {
  const std::vector<Dim>* a = c.values(0);
  const std::vector<Dim>* b = c.values(1);
  if (a == nullptr || b == nullptr) return;
  const size_t count = a->size() == 1 ? b->size() : a->size();
  if (count != b->size() && b->size() != 1) return;
  std::vector<Dim> out;
  for (size_t i = 0; i < count; ++i)
    out.push_back(f((*a)[a->size() == 1 ? 0 : i], (*b)[b->size() == 1 ? 0 : i]));
  c.set_values(0, std::move(out));
}

Dim add_values(const Dim& a, const Dim& b) {
  return both_known(a, b) ? Dim(add(a.value(), b.value())) : a + b;
}
Dim subtract_values(const Dim& a, const Dim& b) {
  return both_known(a, b) ? Dim(subtract(a.value(), b.value())) : a - b;
}
Dim multiply_values(const Dim& a, const Dim& b) {
  return both_known(a, b) ? Dim(multiply(a.value(), b.value())) : a * b;
}
Dim divide_values(const Dim& a, const Dim& b) {
  if (both_known(a, b)) return divide(a.value(), b.value());
  // Div rounds towards zero, which is the floor where nothing is negative.
  const bool safe = a.non_negative() && b.non_negative() && !b.is(0);
  return safe ? Dim::floor_div(a, b) : Dim::unknown();
}
Dim mod_values(const Dim& a, const Dim& b) {
  if (both_known(a, b)) return floored_mod(a.value(), b.value());
  return divide_values(a, b).is_unknown() ? Dim::unknown() : a - divide_values(a, b) * b;
}
Dim max_values(const Dim& a, const Dim& b) { return Dim::max(a, b); }
Dim min_values(const Dim& a, const Dim& b) { return Dim::min(a, b); }

Dim equal_values(const Dim& a, const Dim& b) {
  if (both_known(a, b)) return a.value() == b.value() ? 1 : 0;
  if (a == b) return 1;
  const bool apart = (a.known() && a.value() < 0 && b.non_negative()) ||
                     (b.known() && b.value() < 0 && a.non_negative());
  return apart ? Dim(0) : Dim::unknown();
}

}  // namespace treadle

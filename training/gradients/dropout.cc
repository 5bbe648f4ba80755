// Gradient of Dropout: what was kept, with the scale that it was kept with.
#include "training/gradients/families.h"

namespace treadle {
namespace {

using Context = GradientContext;

// Whether it trains may be known at run time only; then the mask holds everything otherwise.
void dropout(Context& c) {
  const Expr gy = c.gy();
  if (!c.has(2)) return c.set(0, gy);
  const Tensor known = c.x(2).constant();
  if (known.defined() && known.count() == 1 && !known.data<bool>()[0]) return c.set(0, gy);
  const Expr ratio = c.has(1) ? cast(c.x(1), gy.dtype()) : gy.number(0.5);
  const Expr one = gy.number(1);
  const Expr scale = where(c.x(2), one / (one - ratio), one);
  c.set(0, where(c.y(1), gy * reshape(scale, gy.ints({})), 0));
}

constexpr GradientDef kRules[] = {{"Dropout", dropout}};

}  // namespace

std::span<const GradientDef> dropout_gradients() { return kRules; }

}  // namespace treadle

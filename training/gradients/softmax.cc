// Gradients of Softmax and LogSoftmax, from their results.
#include "training/gradients/families.h"

namespace treadle {
namespace {

using Context = GradientContext;

Expr sum_lines(const Context& c, const Expr& x) { return sum(x, {c.attributes().i("axis", -1)}); }

void softmax(Context& c) {
  const Expr weighted = c.gy() * c.y();
  c.set(0, weighted - c.y() * sum_lines(c, weighted));
}

void log_softmax(Context& c) { c.set(0, c.gy() - c.y().op("Exp") * sum_lines(c, c.gy())); }

constexpr GradientDef kRules[] = {
    {"Softmax", softmax},
    {"LogSoftmax", log_softmax},
    {"Hardmax"},
};

}  // namespace

std::span<const GradientDef> softmax_gradients() { return kRules; }

}  // namespace treadle

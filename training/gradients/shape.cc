// Gradients of what only reads its input under another shape or type.
#include "training/gradients/families.h"

namespace treadle {
namespace {

using Context = GradientContext;

void identity(Context& c) { c.set(0, c.gy()); }
void reshaped(Context& c) { c.set(0, reshape_like(c.gy(), c.x())); }

// To integers and back stops the gradient: the sweep does not come here then.
void converted(Context& c) { c.set(0, cast(c.gy(), c.x().dtype())); }

void expand(Context& c) { c.set_broadcast(0, c.gy()); }
void sum_to_gradient(Context& c) { c.set(0, expand_like(c.gy(), c.x())); }

constexpr GradientDef kRules[] = {
    {"Identity", identity},
    {"Reshape", reshaped},
    {"Flatten", reshaped},
    {"Squeeze", reshaped},
    {"Unsqueeze", reshaped},
    {"Cast", converted},
    {"CastLike", converted},
    {"Expand", expand},
    {"SumTo", sum_to_gradient, nullptr, "treadle"},
};

}  // namespace

std::span<const GradientDef> shape_gradients() { return kRules; }

}  // namespace treadle

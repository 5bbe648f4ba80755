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

void transpose_gradient(Context& c) {
  std::vector<int64_t> forward = c.attributes().ints("perm");
  if (forward.empty()) return c.set(0, c.gy().op("Transpose"));
  std::vector<int64_t> back(forward.size());
  for (size_t i = 0; i < forward.size(); ++i) {
    back[static_cast<size_t>(forward[i])] = static_cast<int64_t>(i);
  }
  c.set(0, transpose(c.gy(), back));
}

constexpr GradientDef kRules[] = {
    {"Identity", identity},
    {"Reshape", reshaped},
    {"Flatten", reshaped},
    {"Squeeze", reshaped},
    {"Unsqueeze", reshaped},
    {"Cast", converted},
    {"CastLike", converted},
    {"Expand", expand},
    {"Transpose", transpose_gradient},
    {"SumTo", sum_to_gradient, nullptr, "treadle"},
};

}  // namespace

std::span<const GradientDef> shape_gradients() { return kRules; }

}  // namespace treadle

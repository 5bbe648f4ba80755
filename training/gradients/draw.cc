// What a trainer makes of Dropout: the product with a mask, which is drawn and depends on nothing.
#include "training/gradients/families.h"

namespace treadle {
namespace {

constexpr GradientDef kRules[] = {
    {.kind = "DropoutMask", .domain = "treadle"},
};

}  // namespace

std::span<const GradientDef> draw_gradients() { return kRules; }

}  // namespace treadle

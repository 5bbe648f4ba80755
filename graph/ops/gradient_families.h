// The families of operators that gradients are made of, apart from families.h so that they change
// without it.
#pragma once

#include <span>

namespace treadle {

struct OpDef;

std::span<const OpDef> norm_gradient_ops();
std::span<const OpDef> pool_gradient_ops();

}  // namespace treadle

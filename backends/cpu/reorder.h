// Tensors copied from one layout to another.
#pragma once

#include "backends/cpu/family.h"

namespace treadle::cpu {

// From one layout to another.
Compiled compile_reorder(const TensorSpec& from, const TensorSpec& to,
                         const CompileContext& context);

}  // namespace treadle::cpu

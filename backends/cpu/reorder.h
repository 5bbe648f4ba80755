// Tensors copied from one layout to another.
#pragma once

#include "backends/cpu/family.h"

namespace treadle::cpu {

// Of equal dtype and dims, else kInternal.
Compiled compile_reorder(const TensorSpec& from, const TensorSpec& to,
                         const CompileContext& context);

}  // namespace treadle::cpu

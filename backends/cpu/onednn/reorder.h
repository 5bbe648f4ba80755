// Tensors copied from one layout to another.
#pragma once

#include "backends/cpu/family.h"

namespace treadle::cpu {

// "onednn reorder".
Compiled compile_reorder(const TensorSpec& from, const TensorSpec& to,
                         const CompileContext& context);

}  // namespace treadle::cpu

// Matrix products over a packed constant right side; with bias, residual and activation.
// Convolutions of single pixels are such products too, where they have few rows.
#pragma once

#include "backends/cpu/family.h"

namespace treadle::cpu {

extern const Family kNativeGemm;

}  // namespace treadle::cpu

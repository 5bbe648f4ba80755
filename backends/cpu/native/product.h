// Small products of two matrices that both change from run to run, with bias and activation; and
// updates by a product, in place.
#pragma once

#include "backends/cpu/family.h"

namespace treadle::cpu {

extern const Family kNativeProduct;
extern const Family kNativeGemmUpdate;

}  // namespace treadle::cpu

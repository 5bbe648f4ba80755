// Convolutions and matrix products with constant weights, by tiles of AMX.
#pragma once

#include "backends/cpu/family.h"

namespace treadle::cpu {

extern const Family kTileProduct;  // "tiles"

}  // namespace treadle::cpu

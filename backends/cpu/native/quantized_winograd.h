// QuantizedConv of 3x3 windows with stride 1 by Winograd's algorithm F(2x2, 3x3) or F(4x4, 3x3), in
// integers: four ninths or a quarter of the multiplications, and the same sums.
#pragma once

#include "backends/cpu/family.h"

namespace treadle::cpu {

extern const Family kQuantizedWinograd;

}  // namespace treadle::cpu

// Convolutions of 3x3 windows with stride 1 by Winograd's algorithm, in channels-last layout: a
// quarter (F(4x4)) or four ninths (F(2x2)) of the multiplications. It rounds more than a direct
// sum: errors are up to 5e-5 (F(4x4)) or 5e-6 (F(2x2)) of the largest result. An infinity or NaN of
// the input spreads as NaN over the tiles that read it, up to five pixels away.
#pragma once

#include "backends/cpu/family.h"

namespace treadle::cpu {

extern const Family kWinograd;
extern const Family kWinogradGradInput;    // treadle.ConvGradInput
extern const Family kWinogradGradWeights;  // treadle.ConvGradWeights

}  // namespace treadle::cpu

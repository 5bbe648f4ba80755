// Reductions, softmax, layer and group normalization over dense rows of floats.
#pragma once

#include "backends/cpu/family.h"

namespace treadle::cpu {

extern const Family kNativeReduce;
extern const Family kNativeArg;  // ArgMax, ArgMin
extern const Family kNativeSoftmax;
extern const Family kNativeLayerNorm;
extern const Family kNativeGroupNorm;

}  // namespace treadle::cpu

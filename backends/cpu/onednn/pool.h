// Average pooling and its gradient, and local response normalization through oneDNN.
#pragma once

#include "backends/cpu/family.h"

namespace treadle::cpu {

extern const Family kOnednnPool;
extern const Family kOnednnPoolGrad;
extern const Family kOnednnLrn;

}  // namespace treadle::cpu

// Pooling, local response normalization and softmax through oneDNN.
#pragma once

#include "backends/cpu/family.h"

namespace treadle::cpu {

extern const Family kOnednnPool;
extern const Family kOnednnLrn;
extern const Family kOnednnSoftmax;

}  // namespace treadle::cpu

// Average pooling and its gradient, maxima of bytes, and local response normalization through
// oneDNN.
#pragma once

#include "backends/cpu/family.h"

namespace treadle::cpu {

extern const Family kOnednnPool;
extern const Family kOnednnPoolGrad;
extern const Family kOnednnLrn;
extern const Family kInt8MaxPool;

}  // namespace treadle::cpu

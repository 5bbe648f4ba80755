// treadle.ConvGradInput and treadle.ConvGradWeights through oneDNN.
#pragma once

#include "backends/cpu/family.h"

namespace treadle::cpu {

// Of 1x1 convolutions (the weights also of three channels), only where oneDNN has fast kernels.
extern const Family kOnednnPointGradInput;
extern const Family kOnednnPointGradWeights;
extern const Family kOnednnConvGradInput;
extern const Family kOnednnConvGradWeights;

}  // namespace treadle::cpu

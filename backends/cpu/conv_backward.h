// treadle.ConvGradInput and treadle.ConvGradWeights through oneDNN.
#pragma once

#include "backends/cpu/family.h"

namespace treadle::cpu {

extern const Family kOnednnConvGradInput;
extern const Family kOnednnConvGradWeights;

}  // namespace treadle::cpu

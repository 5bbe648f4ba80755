// NegativeLogLikelihoodLoss, to which SoftmaxCrossEntropyLoss comes down too.
#pragma once

#include "backends/cpu/family.h"

namespace treadle::cpu {

extern const Family kNativeNll;

}  // namespace treadle::cpu

// Conv, ConvTranspose and treadle.FusedConv through oneDNN.
#pragma once

#include "backends/cpu/family.h"

namespace treadle::cpu {

extern const Family kOnednnConv;
extern const Family kOnednnDeconv;

}  // namespace treadle::cpu

// LSTM and GRU through oneDNN.
#pragma once

#include "backends/cpu/family.h"

namespace treadle::cpu {

extern const Family kOnednnRnn;

}  // namespace treadle::cpu

// LSTM: the inputs of many steps are projected at once, then it goes step by step.
#pragma once

#include "backends/cpu/family.h"

namespace treadle::cpu {

extern const Family kLstm;

}  // namespace treadle::cpu

// LSTM of small batches: oneDNN's products, the gates between them native.
#pragma once

#include "backends/cpu/family.h"

namespace treadle::cpu {

extern const Family kLstm;

}  // namespace treadle::cpu

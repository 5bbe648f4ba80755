// What the CPU kernels of recurrent layers have in common.
#pragma once

#include "backends/cpu/family.h"

namespace treadle::cpu {

// LSTM and GRU of floats with their usual activations, over whole sequences, with constant weights.
Support supports_recurrent(const NodeSpec& spec);

}  // namespace treadle::cpu

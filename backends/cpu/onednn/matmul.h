// MatMul, Gemm and their fused forms through oneDNN.
#pragma once

#include "backends/cpu/family.h"

namespace treadle::cpu {

extern const Family kOnednnMatMul;

}  // namespace treadle::cpu

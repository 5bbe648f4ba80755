// Products and pools of 8-bit integers by oneDNN.
#pragma once

#include "backends/cpu/family.h"

namespace treadle::cpu {

extern const Family kInt8MaxPool;      // "onednn int8 max_pool"
extern const Family kQuantizedConv;    // "onednn int8 conv"
extern const Family kQuantizedMatMul;  // "onednn int8 matmul"

}  // namespace treadle::cpu

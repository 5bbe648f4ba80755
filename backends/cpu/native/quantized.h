// Convolutions and matrix products of bytes, native.
#pragma once

#include "backends/cpu/family.h"

namespace treadle::cpu {

extern const Family kQuantizedConv;    // "native quantized conv"
extern const Family kQuantizedMatMul;  // "native quantized matmul"

}  // namespace treadle::cpu

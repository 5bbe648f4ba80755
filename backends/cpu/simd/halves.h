// Floats of 16 bits to floats and back, rounded to the nearest even, for the instruction set of the
// machine. The same bits as Float16 and Bfloat16 (graph/base/dtype.h) give, but that a NaN becomes
// quiet.
#pragma once

#include <cstddef>

#include "graph/base/dtype.h"

namespace treadle::cpu {

struct HalfFunctions {
  void (*widen_float16)(const Float16* from, float* to, size_t n);
  void (*widen_bfloat16)(const Bfloat16* from, float* to, size_t n);
  void (*narrow_float16)(const float* from, Float16* to, size_t n);
  void (*narrow_bfloat16)(const float* from, Bfloat16* to, size_t n);
};
const HalfFunctions& half_functions();

}  // namespace treadle::cpu

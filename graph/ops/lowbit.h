// The element types narrower than a C++ type: float8, and packed float6, float4, int4, uint4,
// int2, uint2.
#pragma once

#include "graph/base/tensor.h"

namespace treadle {

// True for the float8 types, float8e8m0, float6, float4e2m1 and the 4- and 2-bit integers.
bool is_lowbit(DType dtype);

// How `narrow` treats what the float types cannot hold.
struct Narrowing {
  bool saturate =
      true;  // float8: out of range becomes the largest value, otherwise NaN or infinity
  enum class Scale : uint8_t { kUp, kDown, kNearest } scale = Scale::kUp;  // float8e8m0 only
};

// The elements in the smallest ordinary type that holds them all: float, int8 or uint8.
Tensor widen(const Tensor& x);
// The opposite: from a float tensor to float8, float6 or float4 (ties to even), from an int8 or
// uint8 tensor to 4- or 2-bit integers (their low bits).
Tensor narrow(const Tensor& x, DType dtype, Narrowing how = {});
// What `widen` gives for the type.
DType widened_dtype(DType dtype);

}  // namespace treadle

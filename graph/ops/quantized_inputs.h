// Inputs of treadle.QuantizedConv; QuantizedMatMul has those up to y_zero_point.
#pragma once

#include <cstddef>

namespace treadle::quantized {

inline constexpr size_t kX = 0, kW = 1, kB = 2, kXScale = 3, kWScale = 4, kXZero = 5, kYScale = 6,
                        kYZero = 7;
// What is added to Y, and how the sum is quantized.
inline constexpr size_t kZ = 8, kZScale = 9, kZZero = 10, kSumScale = 11, kSumZero = 12;

}  // namespace treadle::quantized

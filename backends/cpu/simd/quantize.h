// Quantization of runs of floats by the range of their own.
#pragma once

#include <cstddef>
#include <cstdint>

namespace treadle::cpu {

struct Extremes {
  float low = 0;  // of 0 and the numbers
  float high = 0;
  bool finite = true;  // neither NaN nor infinite
};

struct QuantizeFunctions {
  Extremes (*extremes)(const float* x, size_t n);
  // y = x / scale, halves to even, + zero_point, within [0, 255]. x is finite and at most 256
  // scales large, and the scale within [kLeastScale, 1 / kLeastScale].
  void (*to_uint8)(const float* x, uint8_t* y, size_t n, float scale, int32_t zero_point);
};
inline constexpr float kLeastScale = 1e-30f;
const QuantizeFunctions& quantize_functions();

}  // namespace treadle::cpu

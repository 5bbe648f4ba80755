// Weighted sums of rows, and of elements that lie anywhere: what an interpolation is made of.
#pragma once

#include <cstddef>
#include <cstdint>

namespace treadle::cpu {

struct BlendFunctions {
  // to[i] = sum over t of weights[t] * from[cells[t] * n + i].
  void (*rows)(const float* from, const int32_t* cells, const float* weights, size_t taps,
               float* to, size_t n);
  // to[i] = sum over t of weights[t * n + i] * from[cells[t * n + i]].
  void (*cells)(const float* from, const int32_t* cells, const float* weights, size_t taps,
                float* to, size_t n);
};
const BlendFunctions& blend_functions();

}  // namespace treadle::cpu

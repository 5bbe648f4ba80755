// How scales and zero points lie over a quantized tensor, and the rounding that all quantized
// operators share.
#pragma once

#include <algorithm>
#include <cmath>

#include "graph/attributes.h"
#include "graph/ops/iterate.h"

namespace treadle {

// Element (o, a, i) of a tensor split along the quantization axis has scale
// o * outer_step + a / block * axis_step + i * inner_step.
struct QuantLayout {
  AxisSplit split;
  int64_t block = 1;
  int64_t outer_step = 0;
  int64_t axis_step = 0;
  int64_t inner_step = 0;
};
// One scale for all, one for each index of `axis`, or (block_size > 0, scale of x's rank) one for
// each block along it. kInvalidModel where the shapes do not fit.
QuantLayout quant_layout(const Attributes& attributes, const Dims& x, const Dims& scale);

// Calls f(element, scale index) for each element in order.
template <class F>
void for_each_scaled(const QuantLayout& layout, F&& f) {
  int64_t at = 0;
  for (int64_t o = 0; o < layout.split.outer; ++o) {
    for (int64_t a = 0; a < layout.split.size; ++a) {
      const int64_t scale = o * layout.outer_step + a / layout.block * layout.axis_step;
      for (int64_t i = 0; i < layout.split.inner; ++i) f(at++, scale + i * layout.inner_step);
    }
  }
}

// What an integer type of 16 bits or fewer, packed ones included, can hold.
struct QuantRange {
  double low = 0;
  double high = 0;
};
QuantRange quant_range(DType dtype);

// saturate(round(scaled) + zero_point), halves to even, NaN as 0.
inline double round_and_saturate(double scaled, double zero_point, const QuantRange& range) {
  const double rounded = std::isnan(scaled) ? 0 : std::nearbyint(scaled);
  return std::clamp(rounded + zero_point, range.low, range.high);
}

// uint8 quantization of values in [min(low, 0), max(high, 0)], as DynamicQuantizeLinear chooses it.
struct DynamicScale {
  float scale = 1;
  double zero_point = 0;
};
DynamicScale dynamic_scale(float low, float high);

// The elements of a scale or zero point, of any number type.
std::vector<double> quant_values(const Tensor& t);

}  // namespace treadle

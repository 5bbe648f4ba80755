// What the native gradients of convolutions share: geometry in channels-last layout.
#pragma once

#include <array>

#include "backends/cpu/family.h"
#include "graph/ops/conv_params.h"

namespace treadle::cpu {

// A convolution of planes; of lines it is one of a single row.
struct Planes {
  int64_t batch, in, out;  // channels
  int64_t height, width;   // of x
  int64_t rows, columns;   // of y
  std::array<int64_t, 2> kernel, stride, dilation, pad;
};

Planes planes_of(const ConvParams& p);

// Of ConvGradInput and ConvGradWeights: floats, one group, where convolutions run in channels-last.
Support supports_planes(const NodeSpec& spec);

}  // namespace treadle::cpu

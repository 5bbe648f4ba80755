// What oneDNN's convolutions, forward and backward, share: descriptors and the choice of layouts.
#pragma once

#include "backends/cpu/onednn/onednn.h"
#include "graph/ops/conv_params.h"

namespace treadle::cpu {

// In order of preference (docs/adr/004); oneDNN's GEMM-based convolution takes plain.
inline constexpr Layout kConvLayouts[] = {kChannelsLast, kPlain};

Dims minus_one(const Dims& dims);
// [M, C/g, k…] as oneDNN wants it for groups: [g, M/g, C/g, k…].
Dims grouped(const Dims& w, int64_t group, int64_t outputs, int64_t inputs);
DnnlDesc in_layout(const TensorSpec& spec, Layout layout);

}  // namespace treadle::cpu

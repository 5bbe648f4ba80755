// The windows of Winograd's convolution, packed once.
#pragma once

#include "graph/base/tensor.h"
#include "graph/ops/conv_params.h"

namespace treadle::cpu {

// [M, C, 3, 3] to the panels of each element's matrix [C, M], for tiles of out x out.
std::shared_ptr<Buffer> pack_windows(const Tensor& w, const ConvParams& p, int64_t out);

}  // namespace treadle::cpu

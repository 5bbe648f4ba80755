// The windows of Winograd's convolution as the right sides of its products.
#pragma once

#include "graph/base/tensor.h"
#include "graph/ops/conv_params.h"

namespace treadle::cpu {

// M in whole panels of simd/gemm.h: as many are packed, those beyond the last window as zeros.
int64_t panelled_outputs(const ConvParams& p);
// Floats of all panels: a matrix [C, M] for each of the (out+2)² elements of a tile.
int64_t packed_window_floats(const ConvParams& p, int64_t out);
// Panel `index` of every element's matrix, from the windows [M, C, 3, 3], which may lie at any
// address; `turned`: from [C, M, 3, 3], each by 180 degrees.
void pack_window_panel(const ConvParams& p, int64_t out, bool turned, const void* windows,
                       int64_t index, float* panels);
// All panels.
std::shared_ptr<Buffer> pack_windows(const Tensor& w, const ConvParams& p, int64_t out,
                                     int threads);

}  // namespace treadle::cpu

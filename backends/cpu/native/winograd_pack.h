// The windows of Winograd's convolution as the right sides of its products.
#pragma once

#include "graph/base/tensor.h"
#include "graph/ops/conv_params.h"

namespace treadle::cpu {

// For each of the (out+2)² elements of a tile, a matrix [ins, outs] of each group.
struct WindowMatrices {
  explicit WindowMatrices(const ConvParams& p);
  int64_t count;
  int64_t ins, outs;
  int64_t columns;  // outs in whole panels of simd/gemm.h: those beyond are zeros
  int64_t panels() const;
  int64_t floats(int64_t out) const;  // of all elements
};

// Panel `index` of every element's matrices, from the windows [M, C / groups, 3, 3], which may lie
// at any address; `turned`: from [C, M, 3, 3] of one group, each by 180 degrees.
void pack_window_panel(const ConvParams& p, int64_t out, bool turned, const void* windows,
                       int64_t index, float* panels);
// All panels.
std::shared_ptr<Buffer> pack_windows(const Tensor& w, const ConvParams& p, int64_t out,
                                     int threads);

}  // namespace treadle::cpu

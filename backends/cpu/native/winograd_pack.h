// The windows of Winograd's convolution as the right sides of its products.
#pragma once

#include "backends/cpu/native/winograd_tiling.h"
#include "backends/cpu/simd/winograd.h"
#include "graph/base/tensor.h"
#include "graph/ops/conv_params.h"

namespace treadle::cpu {

// For each element of a tile, a matrix [ins, outs] of each group.
struct WindowMatrices {
  explicit WindowMatrices(const ConvParams& p);
  int64_t count;
  int64_t ins, outs;
  int64_t columns;  // outs in whole panels of simd/gemm.h: those beyond are zeros
  int64_t panels() const;
  int64_t floats(const Tiling& t) const;  // of all elements
};

const WinogradFunctions& transforms_of(const Tiling& t);
// Panel `index` of every element's matrices, from the windows [M, C / groups, kernel], which may
// lie at any address; `turned`: from [C, M, 3, 3] of one group, each by 180 degrees.
void pack_window_panel(const ConvParams& p, const Tiling& t, bool turned, const void* windows,
                       int64_t index, float* panels);
// All panels.
std::shared_ptr<Buffer> pack_windows(const Tensor& w, const ConvParams& p, const Tiling& t,
                                     int threads);

}  // namespace treadle::cpu

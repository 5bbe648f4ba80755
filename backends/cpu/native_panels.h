// Packs the right side of a product for simd_gemm.h.
#pragma once

#include "backends/cpu/family.h"

namespace treadle::cpu {

// Element (k, n) of the matrix is scale * source[at + k * row + n * column].
struct PanelSource {
  int64_t n = 1;
  int64_t k = 1;
  int64_t row = 1;
  int64_t column = 1;
  int64_t at = 0;
  float scale = 1;
};

// Shared through `packs` where that is not null.
std::shared_ptr<Buffer> packed_panels(const Tensor& source, const PanelSource& matrix,
                                      PackCache* packs);

}  // namespace treadle::cpu

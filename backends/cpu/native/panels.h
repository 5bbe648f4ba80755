// Packs the right side of a product for simd/gemm.h.
#pragma once

#include "backends/cpu/family.h"
#include "backends/cpu/simd/gemm.h"

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

struct Panels {
  std::shared_ptr<Buffer> numbers;
  PanelForm form = PanelForm::kFloat;
  bool halves() const { return form == PanelForm::kFloat16 || form == PanelForm::kBfloat16; }
  size_t width() const { return halves() ? sizeof(uint16_t) : sizeof(float); }
  int64_t count() const { return static_cast<int64_t>(numbers->size() / width()); }
  const std::byte* at(int64_t number) const {
    return numbers->data() + static_cast<size_t>(number) * width();
  }
};
// Turned where that takes less time.
Panels packed_panels(const Tensor& source, const PanelSource& matrix,
                     const CompileContext& context);
// The same for few rows, which take as long as reading the panels: in 16 bits where every number
// has them, as those of a model that was float16 or bfloat16.
Panels narrow_panels(const Tensor& source, const PanelSource& matrix,
                     const CompileContext& context);

}  // namespace treadle::cpu

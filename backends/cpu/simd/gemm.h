// Products with a packed right side: B in panels of `panel` columns, K rows of them one after
// another.
#pragma once

#include <cstddef>
#include <cstdint>

namespace treadle::cpu {

// Of the numbers in panels.
enum class PanelForm : uint8_t { kFloat, kFloat16, kBfloat16 };
inline constexpr size_t kNarrowRows = 4;  // that products with panels of 16 bits may have

// y[rows, columns] = a[rows, k] . panels (+ bias, one a column), or added to what y holds. `panels`
// begins at the first column; the columns beyond the last whole panel are there, padded.
struct GemmBlock {
  const float* a;
  size_t a_stride;
  const void* panels;
  size_t k;
  size_t depth = 0;  // K of the panels, where the block takes a part of it; 0: k
  size_t panel_depth() const { return depth == 0 ? k : depth; }
  const float* bias = nullptr;
  bool add = false;
  float* y;
  size_t y_stride;
  size_t rows;
  size_t columns;
  PanelForm form = PanelForm::kFloat;
  // Lines of the cache that a later block reads: they are fetched meanwhile.
  const std::byte* next = nullptr;
  size_t next_lines = 0;
};

struct GemmFunctions {
  size_t panel;
  size_t rows;  // that the inner loop takes at once
  void (*multiply)(const GemmBlock& block);
};
const GemmFunctions& gemm_functions();

}  // namespace treadle::cpu

// Products with a packed right side: B in panels of `panel` columns, K rows of them one after
// another.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>

namespace treadle::cpu {

// Of the numbers in panels. kTurned: floats, [columns, depth] in place of panels, of fewer columns
// than a vector has lanes.
enum class PanelForm : uint8_t { kFloat, kFloat16, kBfloat16, kTurned };
inline constexpr size_t kNarrowRows = 4;  // that products with panels of 16 bits may have

// y[rows, columns] = a[rows, k] . panels + bias (one a column) + plus (as y; it may be y), within
// [low, high]. `panels` begins at the first column; the columns beyond the last whole panel are
// there, padded. All columns are summed up in the same order: equal ones give equal results.
struct GemmBlock {
  const float* a;
  size_t a_stride;
  const void* panels;
  size_t k;
  size_t depth = 0;  // K of the panels, where the block takes a part of it; 0: k
  size_t panel_depth() const { return depth == 0 ? k : depth; }
  const float* bias = nullptr;
  const float* plus = nullptr;
  float* y;
  size_t y_stride;  // of `plus` too
  size_t rows;
  size_t columns;
  float low = -std::numeric_limits<float>::infinity();
  float high = std::numeric_limits<float>::infinity();
  PanelForm form = PanelForm::kFloat;
  // Lines of the cache that a later block reads: they are fetched meanwhile.
  const std::byte* next = nullptr;
  size_t next_lines = 0;
};

struct GemmFunctions {
  size_t panel;
  size_t lanes;
  size_t rows;  // a multiple of what the inner loops take at once
  void (*multiply)(const GemmBlock& block);
};
const GemmFunctions& gemm_functions();

}  // namespace treadle::cpu

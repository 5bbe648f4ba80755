// What part of a dimension a slice takes.
#pragma once

#include <cstdint>

namespace treadle {

struct SliceRange {
  int64_t start = 0;
  int64_t step = 1;
  int64_t count = 0;
};

// Start and end clamped as ONNX says: to [0, dim] going up, to [0, dim - 1] and [-1, dim - 1] going
// down. kInvalidData when the step is 0.
SliceRange clamped_range(int64_t start, int64_t end, int64_t step, int64_t dim);

}  // namespace treadle

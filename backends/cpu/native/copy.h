// Strided copies: what all data movement with a fixed pattern comes down to.
#pragma once

#include "backends/cpu/family.h"

namespace treadle::cpu {

// to[to_at + i . to] = from[from_at + i . from] for every index i of dims; strides in elements.
struct CopyJob {
  size_t input = 0;
  size_t output = 0;
  Dims dims;
  Dims from;
  Dims to;
  int64_t from_at = 0;
  int64_t to_at = 0;
};

// Elements that every output is filled with before the copies; none: the copies write all of it.
struct CopyFill {
  bool on = false;
  uint64_t bits = 0;  // the element's bytes
  int64_t count = 0;  // of output 0
};

bool copyable(DType dtype);  // elements of 1, 2, 4, 8 or 16 bytes
std::unique_ptr<Kernel> make_copy_kernel(std::vector<CopyJob> jobs, DType dtype, CopyFill fill,
                                         int threads);

}  // namespace treadle::cpu

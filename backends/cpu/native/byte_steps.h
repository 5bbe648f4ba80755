// Shares out int8 weights into the steps of simd/byte_product.h.
#pragma once

#include <span>
#include <vector>

#include "backends/cpu/simd/byte_product.h"

namespace treadle::cpu {

// Blocks of weights, one after another.
class StepPacker {
 public:
  // Of rows of `depth`, three times which 32 bits hold; about so many weights.
  StepPacker(size_t depth, size_t weights) : depth_(depth) { data_.reserve(weights * 3 / 2); }

  // weights[depth / kQuad][width][kQuad]; width: whole vectors.
  void add_block(const int8_t* weights, size_t width);

  // Of each block, in data(); offsets and weights begin at whole lines.
  std::span<const ByteSteps> steps() const { return steps_; }
  std::span<const std::byte> data() const { return data_; }

 private:
  // Room for bytes, at a whole line; where it begins.
  size_t extend(size_t bytes);

  size_t depth_;
  std::vector<uint32_t> offsets_;  // of the block's steps
  std::vector<ByteSteps> steps_;
  std::vector<std::byte> data_;
};

}  // namespace treadle::cpu

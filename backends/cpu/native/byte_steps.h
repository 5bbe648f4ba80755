// Shares out int8 weights into the steps of simd/byte_product.h.
#pragma once

#include <span>
#include <vector>

#include "backends/cpu/simd/byte_product.h"

namespace treadle::cpu {

// Blocks of weights, one after another.
class StepPacker {
 public:
  static constexpr size_t kLine = 64;  // bytes, a multiple of which offsets and weights begin at

  explicit StepPacker(size_t depth) : depth_(depth) {}

  // weights[depth / kQuad][width][kQuad]; width: whole vectors.
  void add_block(const int8_t* weights, size_t width);

  // Of each block, in data().
  std::span<const ByteSteps> steps() const { return steps_; }
  std::span<const std::byte> data() const { return data_; }

 private:
  struct Kind {
    std::vector<uint32_t> offsets;
    std::vector<std::byte> weights;
  };
  void add_pairs(const int8_t* quads, size_t width, size_t at);
  void align();

  size_t depth_;
  Kind quads_, pairs_;  // of a block
  std::vector<ByteSteps> steps_;
  std::vector<std::byte> data_;
};

}  // namespace treadle::cpu

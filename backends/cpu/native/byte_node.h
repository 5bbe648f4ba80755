// What the nodes of products of bytes read and write, for the kernels that run them.
#pragma once

#include "backends/cpu/family.h"
#include "backends/cpu/simd/byte_product.h"

namespace treadle::cpu {

// X: its zero point and its scale are constants or of the run.
class ByteInput {
 public:
  explicit ByteInput(const NodeSpec& spec);
  const uint8_t* x(const KernelArgs& args) const;
  uint8_t flip() const { return flip_; }  // makes uint8 of X
  bool zero_of_run() const { return zero_of_run_; }
  bool scale_of_run() const { return scale_of_run_; }
  // Of the flipped bytes; a constant needs no arguments.
  int32_t zero(const KernelArgs& args) const;
  int32_t constant_zero() const { return zero_ + flip_; }
  // `scales`, or in `memory` those times that of the run.
  const float* scales(const KernelArgs& args, std::span<const float> scales, float* memory) const;

 private:
  uint8_t flip_;
  int32_t zero_;
  bool zero_of_run_, scale_of_run_;
};

// Y: floats, or levels to which those of Z may be added.
class ByteOutput {
 public:
  // kUnsupported: levels beyond what an integer holds.
  explicit ByteOutput(const NodeSpec& spec);
  // Lets `block` write from element `at` on, with `levels`.
  void place(const KernelArgs& args, int64_t at, ByteLevels& levels, ByteBlock& block) const;

 private:
  DType dtype_;
  ByteLevels levels_;  // of bytes
  bool adds_;
};

// With X, Y and Z in this layout; weights and other constants are not read.
Compiled compiled_product(const NodeSpec& spec, std::unique_ptr<Kernel> kernel, std::string name,
                          size_t scratch_bytes, Layout layout);

}  // namespace treadle::cpu

// The activation of a fused product, over what a native kernel has stored.
#pragma once

#include "backends/cpu/epilogue.h"
#include "backends/cpu/native/lower.h"

namespace treadle::cpu {

class Activation {
 public:
  // Nothing where the node's activation has no rule.
  static std::optional<Activation> of(const Node& node);
  // Where the activation is no more than them, a kernel may apply them instead.
  const std::optional<Bounds>& bounds() const { return bounds_; }
  // y[rows, columns] becomes activation(y); rows are `stride` floats apart.
  void apply(float* y, size_t rows, size_t columns, size_t stride) const;

 private:
  Activation(Tape tape, std::optional<Bounds> bounds)
      : tape_(std::move(tape)), function_(tape_function()), bounds_(bounds) {}
  Tape tape_;  // of y; no code: none
  TapeFn function_;
  std::optional<Bounds> bounds_;
};

// A part of `supports` that families share.
Support supports_activation(const Node& node);

}  // namespace treadle::cpu

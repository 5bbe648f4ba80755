// Checks of operands against the shapes that an operator wants of them, before and in the run.
// Kernels of backends rely on the rule's ones.
#pragma once

#include "graph/ops/op.h"

namespace treadle {

// kInvalidModel where input i is there and its shape is not, or cannot be, the expected one.
void expect_shape(const InferContext& c, size_t i, const Shape& expected);
void expect_shape(const EvalContext& c, size_t i, const Dims& expected);
// The same where the shape does not broadcast to `target` (unidirectionally).
void expect_broadcast_to(const InferContext& c, size_t i, const Shape& target);
void expect_broadcast_to(const EvalContext& c, size_t i, const Dims& target);

}  // namespace treadle

// What control flow and sequences share: types that hold for either of two values, and stacking.
#pragma once

#include <vector>

#include "graph/base/tensor.h"
#include "graph/type.h"

namespace treadle {

// The type of a value that is one or the other: what differs is unknown.
Type merge_types(const Type& a, const Type& b);

// At least one tensor, all of one dtype and shape (else kInvalidData), along a new axis.
Tensor stack_tensors(const std::vector<Tensor>& parts, int64_t axis, bool reversed);

// The shape of the parts joined along `axis`; kInvalidData when they differ elsewhere.
Dims concat_dims(const std::vector<const Tensor*>& parts, int64_t axis);
// Writes the parts into `out`, which has that shape.
void concat_tensors(const std::vector<const Tensor*>& parts, int64_t axis, Tensor& out);

}  // namespace treadle

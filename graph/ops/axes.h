// Axes given as an attribute or an input, and the shapes that reductions over them leave.
#pragma once

#include <vector>

#include "graph/ops/op.h"

namespace treadle {

// Which of `rank` axes are in the list, negative ones counted from the end; kInvalidModel out of
// range.
std::vector<bool> axis_mask(const std::vector<int64_t>& axes, int64_t rank);

// The axes as they were given, negative ones counted from the end; kInvalidModel out of range or
// given twice.
std::vector<int64_t> distinct_axes(std::vector<int64_t> axes, int64_t rank);

// The shape with the marked axes 1 (keepdims) or gone.
Dims reduced_dims(const Dims& dims, const std::vector<bool>& mask, bool keepdims);
Shape reduced_shape(const Shape& shape, const std::vector<bool>& mask, bool keepdims);

// Strides by which an index of `dims` addresses the row-major reduced tensor: 0 along the marked
// axes.
Dims reduced_strides(const Dims& dims, const std::vector<bool>& mask);

}  // namespace treadle

// Which elements the indices of gathers and scatters name. kInvalidData for an index out of range.
#pragma once

#include <vector>

#include "graph/base/tensor.h"

namespace treadle {

// GatherElements, ScatterElements: for each element of `indices` the offset, in a tensor of shape
// `dims`, of the element at the same place but with the index on `axis`.
std::vector<int64_t> element_offsets(const Dims& dims, const Tensor& indices, int64_t axis);

// GatherND, ScatterND: for each tuple (the last axis of `indices`) the offset of the block that it
// names.
std::vector<int64_t> tuple_offsets(const Dims& dims, const Tensor& indices, int64_t batch_dims);

}  // namespace treadle

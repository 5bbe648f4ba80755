// Conversion of whole tensors between element types, for Cast and for kernels that compute in
// another type.
#pragma once

#include "graph/base/tensor.h"
#include "graph/ops/lowbit.h"

namespace treadle {

// The elements as `dtype` by Cast's rules, strings included. The tensor itself when it has that
// type. kInvalidData for a string that is no number, kUnsupported for complex numbers.
Tensor cast_tensor(const Tensor& x, DType dtype, Narrowing how = {});

}  // namespace treadle

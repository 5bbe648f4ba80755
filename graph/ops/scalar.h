// Inputs that hold one number, and attributes that name an element type.
#pragma once

#include "graph/ops/op.h"

namespace treadle {

// The one element of an input; kInvalidData when it has more or none.
int64_t scalar_int(const EvalContext& c, size_t input);
double scalar_double(const EvalContext& c, size_t input);
// The same before the run: unknown where it is not known.
Dim scalar_dim(const InferContext& c, size_t input);

// The element type that the attribute names, `otherwise` where it is absent.
DType dtype_attribute(const Attributes& a, std::string_view name, DType otherwise);

}  // namespace treadle

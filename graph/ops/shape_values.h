// Elementwise arithmetic on shape values: the elements of small integer tensors before the run,
// symbols included.
#pragma once

#include "graph/ops/op.h"

namespace treadle {

using DimFn = Dim (*)(const Dim&, const Dim&);

// Sets the values of output 0 to f over inputs 0 and 1, broadcast, where both are known.
void infer_values(InferContext& c, DimFn f);

// The operators on int64 elements; unknown where the result is not a polynomial. Integers wrap.
Dim add_values(const Dim& a, const Dim& b);
Dim subtract_values(const Dim& a, const Dim& b);
Dim multiply_values(const Dim& a, const Dim& b);
Dim divide_values(const Dim& a, const Dim& b);
Dim mod_values(const Dim& a, const Dim& b);
Dim max_values(const Dim& a, const Dim& b);
Dim min_values(const Dim& a, const Dim& b);
// 1, 0, or unknown.
Dim equal_values(const Dim& a, const Dim& b);

}  // namespace treadle

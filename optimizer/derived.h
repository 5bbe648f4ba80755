// Weights that a pass makes of other weights.
#pragma once

#include <functional>
#include <vector>

#include "graph/base/tensor.h"

namespace treadle {

// Whether the tensor's bytes are read or made when they are asked for.
bool is_deferred(const Tensor& tensor);

// Fills `to` from the sources, which need not lie in memory; the same each time.
using MakeWeights = std::function<void(const std::vector<Tensor>& sources, Tensor& to)>;

// What `make` makes of the sources: now when their bytes lie in memory, else when it is asked for.
Tensor derived(DType dtype, const Dims& dims, std::vector<Tensor> sources, MakeWeights make);

}  // namespace treadle

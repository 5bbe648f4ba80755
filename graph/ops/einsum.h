// What an Einsum's equation says, read once for the kernel and the gradient.
#pragma once

#include <vector>

#include "graph/attributes.h"

namespace treadle {

// Labels of the dims: letters, and for the dims that "..." stands for their position from the right
// + 256.
struct EinsumEquation {
  std::vector<std::vector<int>> operands;
  std::vector<int> output;
};

// For operands of these ranks; kInvalidModel where they do not fit.
EinsumEquation einsum_equation(const Attributes& attributes, const std::vector<int64_t>& ranks);

}  // namespace treadle

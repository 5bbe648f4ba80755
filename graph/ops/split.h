// How Split and its kin divide a dimension.
#pragma once

#include <vector>

#include "graph/base/shape.h"

namespace treadle {

// The sizes of the parts of `dim`: as given, or (null) equal ones, the last the smaller where they
// do not divide. kInvalidData when given sizes do not add up.
std::vector<Dim> split_sizes(const Dim& dim, const std::vector<Dim>* sizes, size_t parts);

}  // namespace treadle

// What passes over views and transposes share.
#pragma once

#include <cstdint>
#include <vector>

#include "graph/graph.h"

namespace treadle {

// Reshape, Squeeze, Unsqueeze or Flatten: the same elements in the same order.
bool is_view(const Node* node);
// Of a Transpose whose input has that rank; the default reverses.
std::vector<int64_t> permutation(const Node& transpose, size_t rank);

}  // namespace treadle

// Nodes that only rename bytes, and those that only gather adjacent ones.
#pragma once

#include <optional>
#include <vector>

#include "backends/backend.h"

namespace treadle {

// True when output 0 of the node has the bytes of input 0 in their order
// (Reshape, Squeeze, a Transpose of dimensions of size 1 …), both row-major.
bool is_view(const NodeSpec& spec);

// Byte offsets of the outputs within input 0 when the node takes adjacent parts
// of it (Split, or Slice of one range with step 1), in the layout of input 0;
// empty otherwise.
std::vector<size_t> part_offsets(const NodeSpec& spec, const Backend& backend);

}  // namespace treadle

// The shape that Reshape's second input asks for; used by its row and by the passes that move it.
#pragma once

#include <vector>

#include "graph/base/error.h"
#include "graph/base/shape.h"

namespace treadle {

// `target` as ONNX defines it: 0 copies the input's dim (unless allow_zero), one -1 takes what is
// left. Symbolic dims are allowed on both sides. Fails with `code` when the element counts cannot
// agree.
Shape reshape_shape(const Shape& input, const std::vector<Dim>& target, bool allow_zero, Code code);

// Axes, negative ones counting from the end, sorted; kInvalidModel for one out of range or given
// twice.
std::vector<int64_t> resolve_axes(std::vector<int64_t> axes, int64_t rank);

}  // namespace treadle

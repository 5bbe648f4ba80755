// Shapes: `Dims` (concrete, run time) and `Shape` (symbolic, graph). Row-major, outermost dimension
// first.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "graph/base/checked.h"
#include "graph/base/dim.h"

namespace treadle {

using Dims = std::vector<int64_t>;
using Shape = std::vector<Dim>;

inline constexpr int64_t kMaxRank = 32;

// Number of elements; kLimit on overflow. The dims are >= 0.
int64_t element_count(const Dims& dims);
// Row-major strides in elements.
Dims strides_of(const Dims& dims);
std::string shape_text(const Dims& dims);    // "[1, 3, 224, 224]"
std::string shape_text(const Shape& shape);  // "[batch, 3, ?]"

bool is_static(const Shape& shape);  // every dim an integer
std::optional<Dims> concrete(const Shape& shape);
Shape symbolic(const Dims& dims);

// Multidirectional broadcasting (ONNX docs/Broadcasting.md); kInvalidArgument when the shapes do
// not fit.
Dims broadcast(const Dims& a, const Dims& b);
Shape broadcast(const Shape& a, const Shape& b);
// Strides of `dims` read as `target`, 0 where broadcast; kInvalidArgument where it cannot be.
Dims broadcast_strides(const Dims& dims, const Dims& target);

}  // namespace treadle

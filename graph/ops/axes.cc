#include "graph/ops/axes.h"

#include <algorithm>

namespace treadle {
namespace {

template <class D>
std::vector<D> reduced(const std::vector<D>& dims, const std::vector<bool>& mask, bool keepdims) {
  std::vector<D> out;
  for (size_t d = 0; d < dims.size(); ++d) {
    if (!mask[d])
      out.push_back(dims[d]);
    else if (keepdims)
      out.push_back(D(1));
  }
  return out;
}

}  // namespace

std::vector<bool> axis_mask(const std::vector<int64_t>& axes, int64_t rank) {
  std::vector<bool> mask(static_cast<size_t>(rank), false);
  for (int64_t axis : axes) mask[static_cast<size_t>(resolve_axis(axis, rank))] = true;
  return mask;
}

std::vector<int64_t> distinct_axes(std::vector<int64_t> axes, int64_t rank) {
  for (auto axis = axes.begin(); axis != axes.end(); ++axis) {
    *axis = resolve_axis(*axis, rank);
    TREADLE_CHECK(std::find(axes.begin(), axis, *axis) == axis, kInvalidModel, "axis ", *axis,
                  " is given twice");
  }
  return axes;
}

Dims reduced_dims(const Dims& dims, const std::vector<bool>& mask, bool keepdims) {
  return reduced(dims, mask, keepdims);
}
Shape reduced_shape(const Shape& shape, const std::vector<bool>& mask, bool keepdims) {
  return reduced(shape, mask, keepdims);
}

Dims reduced_strides(const Dims& dims, const std::vector<bool>& mask) {
  Dims strides = strides_of(reduced_dims(dims, mask, true));
  for (size_t d = 0; d < dims.size(); ++d) {
    if (mask[d]) strides[d] = 0;
  }
  return strides;
}

}  // namespace treadle

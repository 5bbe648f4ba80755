#include "backends/cpu/native/view.h"

namespace treadle::cpu {
namespace {

// One physical dimension: `extent` steps of `step` along a logical axis.
struct PhysicalAxis {
  int64_t extent = 1;
  size_t axis = 0;
  int64_t step = 1;
};

std::vector<PhysicalAxis> physical_axes(const Dims& dims, Layout layout) {
  std::vector<PhysicalAxis> axes;
  const int64_t block = channel_block(layout);
  for (size_t i = 0; i < dims.size(); ++i) {
    if (i == 1 && layout == kChannelsLast) continue;
    axes.push_back({i == 1 ? ceil_div(dims[i], block) : dims[i], i, i == 1 ? block : 1});
  }
  if (layout == kChannelsLast) axes.push_back({dims[1], 1, 1});
  if (block > 1) axes.push_back({block, 1, 1});
  return axes;
}

}  // namespace

int64_t channel_block(Layout layout) { return layout == kBlocked16 ? 16 : 1; }

Dims physical_dims(const Dims& dims, Layout layout) {
  Dims result;
  for (const PhysicalAxis& a : physical_axes(dims, layout)) result.push_back(a.extent);
  return result;
}

Dims physical_strides(const TensorSpec& source, const TensorSpec& target) {
  const std::vector<PhysicalAxis> axes = physical_axes(target.dims, target.layout);
  Dims strides;
  if (source.layout == kPlain) {
    const Dims logical = broadcast_strides(source.dims, target.dims);
    for (const PhysicalAxis& a : axes) strides.push_back(logical[a.axis] * a.step);
    return strides;
  }
  const Dims own = strides_of(physical_dims(source.dims, source.layout));
  for (size_t i = 0; i < axes.size(); ++i) {
    const bool repeated = source.dims[axes[i].axis] == 1 && target.dims[axes[i].axis] != 1;
    strides.push_back(repeated ? 0 : own[i]);
  }
  return strides;
}

}  // namespace treadle::cpu

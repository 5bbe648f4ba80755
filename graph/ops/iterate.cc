#include "graph/ops/iterate.h"

namespace treadle {

void merge_dims(Dims& dims, std::span<Dims> strides) {
  size_t kept = 0;
  for (size_t d = 0; d < dims.size(); ++d) {
    if (dims[d] == 1) continue;
    bool joins = kept > 0;
    for (const Dims& s : strides) joins = joins && s[kept - 1] == s[d] * dims[d];
    if (joins) {
      --kept;
      dims[kept] *= dims[d];
    } else {
      dims[kept] = dims[d];
    }
    for (Dims& s : strides) s[kept] = s[d];
    ++kept;
  }
  if (kept == 0) {
    dims.assign(1, 1);
    for (Dims& s : strides) s.assign(1, 1);
    return;
  }
  dims.resize(kept);
  for (Dims& s : strides) s.resize(kept);
}

AxisSplit split_axis(const Dims& dims, int64_t axis) {
  const auto at = static_cast<size_t>(resolve_axis(axis, static_cast<int64_t>(dims.size())));
  AxisSplit split;
  for (size_t d = 0; d < at; ++d) split.outer *= dims[d];
  split.size = dims[at];
  for (size_t d = at + 1; d < dims.size(); ++d) split.inner *= dims[d];
  return split;
}

}  // namespace treadle

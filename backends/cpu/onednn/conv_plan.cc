#include "backends/cpu/onednn/conv_plan.h"

namespace treadle::cpu {
Dims minus_one(const Dims& dims) {
  Dims out = dims;
  for (int64_t& d : out) --d;
  return out;
}

Dims grouped(const Dims& w, int64_t group, int64_t outputs, int64_t inputs) {
  Dims dims;
  if (group > 1) dims.push_back(group);
  dims.push_back(outputs / group);
  dims.push_back(inputs / group);
  dims.insert(dims.end(), w.begin() + 2, w.end());
  return dims;
}

DnnlDesc in_layout(const TensorSpec& spec, Layout layout) {
  return describe({spec.dtype, spec.dims, layout});
}

}  // namespace treadle::cpu

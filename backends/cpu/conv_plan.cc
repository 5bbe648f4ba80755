#include "backends/cpu/conv_plan.h"

namespace treadle::cpu {
namespace {

// Up to so many channels, oneDNN's blocked kernels read plain input.
constexpr int64_t kThinInput = 4;

}  // namespace

std::vector<ConvLayouts> conv_candidates(const ConvParams& p) {
  std::vector<ConvLayouts> list;
  if (conv_layout() == kBlocked16) {
    if (p.group == 1 && p.in_channels <= kThinInput) list.push_back({kPlain, kBlocked16});
    list.push_back({kBlocked16, kBlocked16});
  }
  list.push_back({kChannelsLast, kChannelsLast});
  list.push_back({kPlain, kPlain});
  return list;
}

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

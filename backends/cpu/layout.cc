#include "backends/cpu/layout.h"

namespace treadle::cpu {
namespace {

constexpr int64_t kBlock = 16;

}  // namespace

size_t layout_bytes(const TensorSpec& spec) {
  Dims dims = spec.dims;
  if (spec.layout == kBlocked16) dims[1] = checked_mul(ceil_div(dims[1], kBlock), kBlock);
  return static_cast<size_t>(byte_size(spec.dtype, element_count(dims)));
}

std::vector<size_t> adjacent_parts(const TensorSpec& whole, const std::vector<TensorSpec>& parts,
                                   int64_t axis) {
  if (whole.layout == kPlain) return plain_adjacent_parts(whole, parts, axis);
  if (whole.layout != kBlocked16 || axis != 1 || whole.dims[0] != 1) return {};
  std::vector<size_t> offsets;
  size_t offset = 0;
  for (const TensorSpec& part : parts) {
    if (part.dims[1] % kBlock != 0 && offsets.size() + 1 != parts.size()) return {};
    offsets.push_back(offset);
    offset += layout_bytes(part);
  }
  return offsets;
}

Layout canonical(const Dims& dims, Layout layout) {
  if (layout == kPlain) return kPlain;
  int64_t plane = 1;
  for (size_t i = 2; i < dims.size(); ++i) plane *= dims[i];
  if (layout == kBlocked16) return plane == 1 && dims[1] % 16 == 0 ? kPlain : layout;
  return plane == 1 || dims[1] == 1 ? kPlain : layout;
}

Layout accept(const TensorSpec& spec, Layout wanted) {
  return canonical(spec.dims, spec.layout) == canonical(spec.dims, wanted) ? spec.layout : wanted;
}

}  // namespace treadle::cpu

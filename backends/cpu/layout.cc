#include "backends/cpu/layout.h"

#include <numeric>

namespace treadle::cpu {
namespace {

constexpr int64_t kBlock = 16;

// Whether axis `from` goes to `to`, and the others keep their order.
bool moves_axis(const std::vector<int64_t>& perm, int64_t from, int64_t to) {
  std::vector<int64_t> moved(perm.size());
  std::iota(moved.begin(), moved.end(), 0);
  moved.erase(moved.begin() + from);
  moved.insert(moved.begin() + to, from);
  return perm == moved;
}

}  // namespace

Compiled channels_last_conv(const NodeSpec& spec, std::initializer_list<size_t> packed) {
  Compiled compiled;
  compiled.input_layouts.assign(spec.inputs.size(), kPlain);
  compiled.input_layouts[0] = accept(spec.inputs[0], kChannelsLast);
  compiled.output_layouts = {canonical(spec.outputs[0].dims, kChannelsLast)};
  compiled.reads.assign(spec.inputs.size(), true);
  for (const size_t i : packed) compiled.reads[i] = false;
  return compiled;
}

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

std::optional<Backend::SameBytes> same_bytes(const NodeSpec& spec) {
  if (!spec.node->is("Transpose") || dtype_bits(spec.inputs[0].dtype) < 8) return {};
  const std::vector<int64_t> perm = spec.node->attributes.ints("perm");
  const auto rank = static_cast<int64_t>(spec.inputs[0].dims.size());
  if (static_cast<int64_t>(perm.size()) != rank || rank > 5) return {};
  const Layout layout = spec.inputs[0].layout;
  if (rank >= 3 && layout == kChannelsLast && moves_axis(perm, 1, rank - 1))
    return Backend::SameBytes{kChannelsLast, kPlain};
  // Not of sequences, whose channels other operators want where they are said to be.
  if (rank >= 4 && layout == kPlain && moves_axis(perm, rank - 1, 1))
    return Backend::SameBytes{kPlain, canonical(spec.outputs[0].dims, kChannelsLast)};
  return {};
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

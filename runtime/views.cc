#include "runtime/views.h"

#include <algorithm>

namespace treadle {
namespace {

// A permutation that keeps the order of the dimensions other than 1.
bool keeps_order(const std::vector<int64_t>& perm, const Dims& dims) {
  int64_t last = -1;
  for (int64_t p : perm) {
    if (p < 0 || p >= static_cast<int64_t>(dims.size())) return false;
    if (dims[static_cast<size_t>(p)] == 1) continue;
    if (p < last) return false;
    last = p;
  }
  return true;
}

bool is_view_kind(const Node& node) {
  for (const char* kind : {"Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity"}) {
    if (node.is(kind)) return true;
  }
  return false;
}

std::vector<size_t> slice_offsets(const NodeSpec& spec, const Backend& backend) {
  const Dims& in = spec.inputs[0].dims;
  const Dims& out = spec.outputs[0].dims;
  int64_t axis = -1;
  for (size_t i = 0; i < in.size(); ++i) {
    if (in[i] == out[i]) continue;
    if (axis >= 0) return {};
    axis = static_cast<int64_t>(i);
  }
  const Tensor* starts = spec.constant(1);
  const Tensor* axes = spec.constant(3);
  const Tensor* steps = spec.constant(4);
  if (axis < 0 || starts == nullptr || starts->count() != 1 || (spec.has(3) && axes == nullptr))
    return {};
  if (spec.has(4) && (steps == nullptr || steps->to_ints()[0] != 1)) return {};
  const auto a = static_cast<size_t>(axis);
  const int64_t named = axes != nullptr ? axes->to_ints()[0] : 0;
  if ((named < 0 ? named + static_cast<int64_t>(in.size()) : named) != axis) return {};
  int64_t start = starts->to_ints()[0];
  start = std::clamp<int64_t>(start < 0 ? start + in[a] : start, 0, in[a] - out[a]);
  std::vector<TensorSpec> parts(3, spec.inputs[0]);
  parts[0].dims[a] = start;
  parts[1].dims[a] = out[a];
  parts[2].dims[a] = in[a] - start - out[a];
  const std::vector<size_t> offsets = backend.adjacent_parts(spec.inputs[0], parts, axis);
  return offsets.empty() ? std::vector<size_t>{} : std::vector<size_t>{offsets[1]};
}

std::vector<size_t> split_offsets(const NodeSpec& spec, const Backend& backend) {
  const int64_t rank = static_cast<int64_t>(spec.inputs[0].dims.size());
  std::vector<TensorSpec> parts;
  for (const TensorSpec& output : spec.outputs) {
    if (!output.present()) return {};
    parts.push_back(output);
    parts.back().layout = spec.inputs[0].layout;
  }
  return backend.adjacent_parts(spec.inputs[0], parts,
                                resolve_axis(spec.node->attributes.i("axis", 0), rank));
}

}  // namespace

bool is_view(const NodeSpec& spec) {
  if (spec.inputs.empty() || spec.outputs.empty() || !spec.outputs[0].present()) return false;
  if (spec.inputs[0].dtype != spec.outputs[0].dtype || dtype_bits(spec.inputs[0].dtype) < 8)
    return false;
  if (is_view_kind(*spec.node)) return true;
  if (spec.node->is("Transpose")) {
    const auto perm = spec.node->attributes.ints("perm");
    return !perm.empty() && keeps_order(perm, spec.inputs[0].dims);
  }
  const bool same = spec.inputs[0].dims == spec.outputs[0].dims;
  return same && (spec.node->is("Expand") || spec.node->is("Tile") || spec.node->is("Cast"));
}

std::vector<size_t> part_offsets(const NodeSpec& spec, const Backend& backend) {
  if (spec.inputs.empty() || dtype_bits(spec.inputs[0].dtype) < 8) return {};
  std::vector<size_t> offsets;
  if (spec.node->is("Slice")) offsets = slice_offsets(spec, backend);
  if (spec.node->is("Split")) offsets = split_offsets(spec, backend);
  const bool ok =
      std::all_of(offsets.begin(), offsets.end(), [](size_t o) { return o % kAlignment == 0; });
  return ok ? offsets : std::vector<size_t>{};
}

}  // namespace treadle

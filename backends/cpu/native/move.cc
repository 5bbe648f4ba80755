#include "backends/cpu/native/move.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "backends/cpu/native/copy.h"
#include "backends/cpu/native/view.h"
#include "graph/ops/slice.h"

namespace treadle::cpu {
namespace {

struct Moves {
  std::vector<CopyJob> jobs;
  CopyFill fill;
};
using MaybeMoves = std::optional<Moves>;

std::optional<std::vector<int64_t>> known_ints(const NodeSpec& spec, size_t i) {
  const Tensor* t = spec.constant(i);
  return t == nullptr ? std::nullopt : std::optional(t->to_ints());
}

size_t axis_of(const NodeSpec& spec, int64_t fallback) {
  return static_cast<size_t>(resolve_axis(spec.node->attributes.i("axis", fallback),
                                          static_cast<int64_t>(spec.inputs[0].dims.size())));
}

// Where a logical axis lies among the physical dimensions of a layout.
size_t physical_axis(size_t axis, size_t rank, Layout layout) {
  if (layout != kChannelsLast || axis == 0) return axis;
  return axis == 1 ? rank - 1 : axis - 1;
}

// `part` is the range of `whole` that begins at `start` of an axis; nothing where channel blocks do
// not allow it.
struct Part {
  Dims dims;     // physical, of the part
  Dims strides;  // of the part, within the whole
  int64_t at = 0;
};
std::optional<Part> part_of(const Dims& whole, const Dims& part, size_t axis, int64_t start,
                            Layout layout) {
  const int64_t block = channel_block(layout);
  const bool blocked = axis == 1 && block > 1;
  if (blocked && (start % block != 0 || (part[1] % block != 0 && start + part[1] != whole[1]))) {
    return std::nullopt;
  }
  Part p{.dims = physical_dims(part, layout), .strides = strides_of(physical_dims(whole, layout))};
  p.at = start / (blocked ? block : 1) * p.strides[physical_axis(axis, whole.size(), layout)];
  return p;
}

MaybeMoves plan_concat(const NodeSpec& spec, Layout layout) {
  const size_t axis = axis_of(spec, 0);
  Moves moves;
  int64_t start = 0;
  for (size_t i = 0; i < spec.inputs.size(); ++i) {
    const Dims& dims = spec.inputs[i].dims;
    const auto part = part_of(spec.outputs[0].dims, dims, axis, start, layout);
    if (!part) return std::nullopt;
    moves.jobs.push_back({.input = i,
                          .dims = part->dims,
                          .from = strides_of(part->dims),
                          .to = part->strides,
                          .to_at = part->at});
    start += dims[axis];
  }
  return moves;
}

MaybeMoves plan_split(const NodeSpec& spec, Layout layout) {
  const size_t axis = axis_of(spec, 0);
  Moves moves;
  int64_t start = 0;
  for (size_t i = 0; i < spec.outputs.size(); ++i) {
    if (!spec.outputs[i].present()) return std::nullopt;
    const Dims& dims = spec.outputs[i].dims;
    const auto part = part_of(spec.inputs[0].dims, dims, axis, start, layout);
    if (!part) return std::nullopt;
    moves.jobs.push_back({.output = i,
                          .dims = part->dims,
                          .from = part->strides,
                          .to = strides_of(part->dims),
                          .from_at = part->at});
    start += dims[axis];
  }
  return moves;
}

struct SlicedAxes {
  Dims starts;
  Dims steps;
};

std::optional<SlicedAxes> sliced_axes(const NodeSpec& spec) {
  const Dims& dims = spec.inputs[0].dims;
  const auto starts = known_ints(spec, 1);
  const auto ends = known_ints(spec, 2);
  const auto axes = known_ints(spec, 3);
  const auto steps = known_ints(spec, 4);
  if (!starts || !ends || (spec.has(3) && !axes) || (spec.has(4) && !steps)) return std::nullopt;
  const size_t count = starts->size();
  if (ends->size() != count || (axes && axes->size() != count) ||
      (steps && steps->size() != count)) {
    return std::nullopt;
  }
  SlicedAxes sliced{Dims(dims.size(), 0), Dims(dims.size(), 1)};
  for (size_t i = 0; i < count; ++i) {
    const auto axis = static_cast<size_t>(resolve_axis(axes ? (*axes)[i] : static_cast<int64_t>(i),
                                                       static_cast<int64_t>(dims.size())));
    const SliceRange r =
        clamped_range((*starts)[i], (*ends)[i], steps ? (*steps)[i] : 1, dims[axis]);
    sliced.starts[axis] = r.start;
    sliced.steps[axis] = r.step;
  }
  return sliced;
}

MaybeMoves plan_slice(const NodeSpec& spec, Layout layout) {
  const auto sliced = sliced_axes(spec);
  if (!sliced) return std::nullopt;
  const Dims& whole = spec.inputs[0].dims;
  const Dims& dims = spec.outputs[0].dims;
  CopyJob job;
  job.dims = physical_dims(dims, layout);
  job.to = strides_of(job.dims);
  for (size_t axis = 0; axis < dims.size(); ++axis) {
    const auto part = part_of(whole, dims, axis, sliced->starts[axis], layout);
    const bool channels = axis == 1 && channel_block(layout) > 1;
    if (!part || (channels && sliced->steps[axis] != 1)) return std::nullopt;
    job.from_at += part->at;
    if (job.from.empty()) job.from = part->strides;
    job.from[physical_axis(axis, dims.size(), layout)] *= sliced->steps[axis];
  }
  return Moves{{job}, {}};
}

// Where the elements of an axis come from: those before it, its own, and those behind it.
struct PaddedPart {
  int64_t count, from, step;
};
std::optional<std::array<PaddedPart, 3>> padded_parts(const std::string& mode, int64_t size,
                                                      int64_t before, int64_t after) {
  const int64_t most = mode == "reflect" ? size - 1 : mode == "wrap" ? size : INT64_MAX;
  if (size == 0 || std::min(before, after) < 0 || std::max(before, after) > most)
    return std::nullopt;
  const PaddedPart own{size, 0, 1};
  if (mode == "reflect") return {{{{before, before, -1}, own, {after, size - 2, -1}}}};
  if (mode == "edge") return {{{{before, 0, 0}, own, {after, size - 1, 0}}}};
  if (mode == "wrap") return {{{{before, size - before, 1}, own, {after, 0, 1}}}};
  return std::nullopt;
}

// Each part of an axis with each of the others'.
MaybeMoves plan_repeating_pad(const std::string& mode, const Dims& in, const Dims& pads) {
  Moves moves{{{.dims = in, .from = strides_of(in), .to = {}}}, {}};
  Dims out = in;
  for (size_t axis = 0; axis < in.size(); ++axis) out[axis] += pads[2 * axis] + pads[2 * axis + 1];
  moves.jobs[0].to = strides_of(out);
  for (size_t axis = 0; axis < in.size(); ++axis) {
    const auto parts = padded_parts(mode, in[axis], pads[2 * axis], pads[2 * axis + 1]);
    if (!parts) return std::nullopt;
    std::vector<CopyJob> jobs;
    for (const CopyJob& whole : moves.jobs) {
      CopyJob job = whole;
      for (const PaddedPart& part : *parts) {
        job.dims[axis] = part.count;
        job.from_at = whole.from_at + part.from * whole.from[axis];
        job.from[axis] = part.step * whole.from[axis];
        if (part.count > 0) jobs.push_back(job);
        job.to_at += part.count * job.to[axis];
      }
    }
    moves.jobs = std::move(jobs);
  }
  return moves;
}

MaybeMoves plan_pad(const NodeSpec& spec, Layout layout) {
  if (layout != kPlain) return std::nullopt;
  const Dims& in = spec.inputs[0].dims;
  const Dims& out = spec.outputs[0].dims;
  const auto pads = known_ints(spec, 1);
  const auto axes = known_ints(spec, 3);
  if (!pads || (spec.has(3) && !axes) || (spec.has(2) && spec.constant(2) == nullptr))
    return std::nullopt;
  const size_t count = axes ? axes->size() : in.size();
  if (pads->size() != 2 * count) return std::nullopt;
  Dims of_axes(2 * in.size(), 0);
  for (size_t i = 0; i < count; ++i) {
    const auto axis = static_cast<size_t>(
        resolve_axis(axes ? (*axes)[i] : static_cast<int64_t>(i), static_cast<int64_t>(in.size())));
    of_axes[2 * axis] = (*pads)[i];
    of_axes[2 * axis + 1] = (*pads)[count + i];
  }
  const std::string mode = spec.node->attributes.s("mode", "constant");
  if (mode != "constant") return plan_repeating_pad(mode, in, of_axes);
  Moves moves;
  CopyJob job;
  job.dims = in;
  job.from = strides_of(in);
  job.to = strides_of(out);
  for (size_t axis = 0; axis < in.size(); ++axis) {
    const int64_t before = of_axes[2 * axis], after = of_axes[2 * axis + 1];
    job.dims[axis] =
        std::max<int64_t>(0, in[axis] + std::min<int64_t>(0, before) + std::min<int64_t>(0, after));
    (before < 0 ? job.from_at : job.to_at) +=
        std::abs(before) * (before < 0 ? job.from : job.to)[axis];
  }
  moves.fill.on = true;
  moves.fill.count = element_count(out);
  if (const Tensor* value = spec.constant(2)) {
    if (value->count() != 1) return std::nullopt;
    std::memcpy(&moves.fill.bits, value->raw(), std::min(value->bytes(), sizeof moves.fill.bits));
  }
  moves.jobs.push_back(job);
  return moves;
}

MaybeMoves permuted(const Dims& in, const std::vector<size_t>& perm) {
  const Dims strides = strides_of(in);
  CopyJob job;
  for (size_t p : perm) {
    job.dims.push_back(in[p]);
    job.from.push_back(strides[p]);
  }
  job.to = strides_of(job.dims);
  return Moves{{job}, {}};
}

MaybeMoves plan_transpose(const NodeSpec& spec, Layout layout) {
  if (layout != kPlain) return std::nullopt;
  const size_t rank = spec.inputs[0].dims.size();
  const std::vector<int64_t> given = spec.node->attributes.ints("perm");
  std::vector<size_t> perm(rank);
  for (size_t i = 0; i < rank; ++i)
    perm[i] = given.empty() ? rank - 1 - i : static_cast<size_t>(given[i]);
  return permuted(spec.inputs[0].dims, perm);
}

MaybeMoves plan_depth_to_space(const NodeSpec& spec, Layout layout) {
  const Dims& in = spec.inputs[0].dims;
  if (layout != kPlain || in.size() != 4) return std::nullopt;
  const int64_t b = spec.node->attributes.i("blocksize", 1);
  const Dims& out = spec.outputs[0].dims;
  if (spec.node->attributes.s("mode", "DCR") == "DCR") {
    return permuted({in[0], b, b, out[1], in[2], in[3]}, {0, 3, 4, 1, 5, 2});
  }
  return permuted({in[0], out[1], b, b, in[2], in[3]}, {0, 1, 4, 2, 5, 3});
}

MaybeMoves plan_space_to_depth(const NodeSpec& spec, Layout layout) {
  const Dims& in = spec.inputs[0].dims;
  const Dims& out = spec.outputs[0].dims;
  if (layout != kPlain || in.size() != 4 || spec.node->attributes.s("mode", "DCR") != "DCR") {
    return std::nullopt;
  }
  const int64_t b = spec.node->attributes.i("blocksize", 1);
  return permuted({in[0], in[1], out[2], b, out[3], b}, {0, 3, 5, 1, 2, 4});
}

MaybeMoves plan_expand(const NodeSpec& spec, Layout layout) {
  if (layout != kPlain) return std::nullopt;
  const Dims& out = spec.outputs[0].dims;
  const CopyJob job{
      .dims = out, .from = broadcast_strides(spec.inputs[0].dims, out), .to = strides_of(out)};
  return Moves{{job}, {}};
}

MaybeMoves plan_tile(const NodeSpec& spec, Layout layout) {
  if (layout != kPlain) return std::nullopt;
  const Dims& in = spec.inputs[0].dims;
  const Dims& out = spec.outputs[0].dims;
  const Dims strides = strides_of(in);
  CopyJob job;
  for (size_t d = 0; d < in.size(); ++d) {
    job.dims.insert(job.dims.end(), {in[d] == 0 ? 0 : out[d] / in[d], in[d]});
    job.from.insert(job.from.end(), {0, strides[d]});
  }
  job.to = strides_of(job.dims);
  return Moves{{job}, {}};
}

struct MoveRule {
  const char* kind;
  MaybeMoves (*plan)(const NodeSpec& spec, Layout layout);
};
constexpr MoveRule kMoveRules[] = {
    {"Concat", plan_concat},
    {"Split", plan_split},
    {"Slice", plan_slice},
    {"Transpose", plan_transpose},
    {"Expand", plan_expand},
    {"Pad", plan_pad},
    {"Tile", plan_tile},
    {"DepthToSpace", plan_depth_to_space},
    {"SpaceToDepth", plan_space_to_depth},
};

MaybeMoves plan_moves(const NodeSpec& spec, Layout layout) {
  for (const MoveRule& rule : kMoveRules) {
    if (spec.node->op->kind == rule.kind) return rule.plan(spec, layout);
  }
  return std::nullopt;
}

Support supports_move(const NodeSpec& spec) {
  if (!copyable(spec.outputs[0].dtype)) return Support::no("elements that are no whole bytes");
  return plan_moves(spec, kPlain) ? Support{}
                                  : Support::no("an operand that is not constant, or a mode");
}

// The layout that the moved tensors have now, where the movement can keep it.
Layout kept_layout(const NodeSpec& spec) {
  const size_t rank = spec.outputs[0].dims.size();
  const size_t moved = spec.node->is("Concat") ? spec.inputs.size() : 1;
  Layout layout = kPlain;
  for (size_t i = 0; i < moved; ++i) layout = std::max(layout, spec.inputs[i].layout);
  return rank >= 3 && rank <= 5 ? layout : kPlain;
}

Compiled compile_move(const NodeSpec& spec, const CompileContext& context) {
  Layout layout = kept_layout(spec);
  MaybeMoves moves = plan_moves(spec, layout);
  if (!moves) {
    layout = kPlain;
    moves = plan_moves(spec, layout);
  }
  TREADLE_CHECK(moves.has_value(), kInternal, "no plan to move ", spec.node->op->kind);
  Compiled compiled;
  compiled.name = cat("native copy", moves->jobs.size() == 1 ? "" : cat(" x", moves->jobs.size()));
  compiled.reads.assign(spec.inputs.size(), false);
  compiled.input_layouts.assign(spec.inputs.size(), kPlain);
  for (const CopyJob& job : moves->jobs) {
    compiled.reads[job.input] = true;
    compiled.input_layouts[job.input] = layout;
  }
  compiled.output_layouts.assign(spec.outputs.size(), layout);
  compiled.kernel =
      make_copy_kernel(std::move(moves->jobs), spec.outputs[0].dtype, moves->fill, context.threads);
  return compiled;
}

}  // namespace

const Family kNativeMove{"native move", supports_move, compile_move};

}  // namespace treadle::cpu

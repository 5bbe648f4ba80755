// Slice and Tile: regular parts and repetitions.
#include <algorithm>

#include "graph/ops/axes.h"
#include "graph/ops/families.h"
#include "graph/ops/move.h"
#include "graph/ops/op.h"
#include "graph/ops/slice.h"

namespace treadle {

SliceRange clamped_range(int64_t start, int64_t end, int64_t step, int64_t dim) {
  TREADLE_CHECK(step != 0, kInvalidData, "a slice with step 0");
  const auto from_end = [dim](int64_t i) {
    return i < 0 ? i + dim : i;
  };  // cannot overflow: dim >= 0 > i
  SliceRange r{.start = 0, .step = std::max(step, -INT64_MAX), .count = 0};
  if (step > 0) {
    r.start = std::clamp<int64_t>(from_end(start), 0, dim);
    const int64_t last = std::clamp<int64_t>(from_end(end), 0, dim);
    r.count = last > r.start ? (last - r.start - 1) / step + 1 : 0;
  } else {
    r.start = std::clamp<int64_t>(from_end(start), 0, std::max<int64_t>(dim - 1, 0));
    const int64_t last = std::clamp<int64_t>(from_end(end), -1, std::max<int64_t>(dim - 1, -1));
    r.count = dim > 0 && last < r.start ? (r.start - last - 1) / -r.step + 1 : 0;
  }
  return r;
}

namespace {

// ---- Slice

bool beyond_any_dim(int64_t i) { return i >= INT32_MAX; }

bool is_size(const Dim& i) { return i.non_negative(); }
// Whether an index is known to count from the begin or from the end.
bool is_index(const Dim& i) { return i.known() || is_size(i); }

// The length of a slice of a symbolic dim, as far as it can be told.
Dim slice_length(const Dim& dim, const Dim& start, const Dim& end, int64_t step) {
  if (dim.known() && start.known() && end.known()) {
    return clamped_range(start.value(), end.value(), step, dim.value()).count;
  }
  // Far beyond any dim, near enough that sums of them do not overflow.
  const auto bounded = [](int64_t i) {
    return std::clamp(i, -(int64_t{1} << 60), int64_t{1} << 60);
  };
  if (step < 0) {
    const bool to_begin = end.known() && end.value() <= -INT32_MAX;
    const bool told = (is_size(start) || start.is(-1)) && (to_begin || is_size(end));
    if (!told) return Dim::unknown();
    const Dim first = start.is(-1) ? dim - 1 : Dim::min(start, dim - 1);
    return Dim::max(0, Dim::ceil_div(first - (to_begin ? Dim(-1) : end), -bounded(step)));
  }
  const bool to_end = (end.known() && beyond_any_dim(end.value())) || end == dim;
  if (end.known() && end.value() <= -INT32_MAX) return 0;
  if (to_end && start.known() && start.value() < 0) {
    return Dim::ceil_div(Dim::min(Dim(0) - bounded(start.value()), dim), bounded(step));
  }
  if (!is_index(start) || !(to_end || is_index(end))) return Dim::unknown();
  // Where the last lies before the first, or the first beyond the dim, the difference is negative.
  const Dim first = !start.known()       ? start
                    : start.value() >= 0 ? Dim(bounded(start.value()))
                                         : Dim::max(0, dim + bounded(start.value()));
  const Dim last = to_end                           ? dim
                   : end.known() && end.value() < 0 ? dim + bounded(end.value())
                   : (dim - end).non_negative()     ? end
                                                    : Dim::min(dim, end);
  const Dim length = last - first;
  return Dim::ceil_div(length.non_negative() ? length : Dim::max(0, length), bounded(step));
}

struct SliceInputs {
  std::vector<Dim> starts, ends;
  std::vector<int64_t> axes, steps;
};

// Axes resolved, all lists of one length.
void check_slice(SliceInputs& in, int64_t rank, bool axes_given, bool steps_given) {
  const size_t count = in.starts.size();
  for (size_t i = 0; !axes_given && i < count; ++i) in.axes.push_back(static_cast<int64_t>(i));
  if (!steps_given) in.steps.assign(count, 1);
  TREADLE_CHECK(in.ends.size() == count && in.axes.size() == count && in.steps.size() == count,
                kInvalidModel, "starts, ends, axes and steps have ", count, ", ", in.ends.size(),
                ", ", in.axes.size(), " and ", in.steps.size(), " entries");
  in.axes = distinct_axes(std::move(in.axes), rank);
  for (int64_t s : in.steps) TREADLE_CHECK(s != 0, kInvalidData, "a slice with step 0");
}

// The input's shape with the sliced axes unknown.
Shape vaguely_sliced(InferContext& c) {
  Shape shape = c.shape(0);
  const auto axes = c.ints(3);
  const bool all = (c.has(3) && !axes) || !c.has(3);
  for (size_t d = 0; all && d < shape.size(); ++d) shape[d] = Dim::unknown();
  for (int64_t a : axes.value_or(std::vector<int64_t>{})) {
    shape[static_cast<size_t>(resolve_axis(a, c.rank(0)))] = Dim::unknown();
  }
  return shape;
}

void slice_values(InferContext& c, const SliceInputs& in) {
  const auto* values = c.values(0);
  if (values == nullptr || in.starts.size() != 1 || !in.starts[0].known() || !in.ends[0].known())
    return;
  const SliceRange r = clamped_range(in.starts[0].value(), in.ends[0].value(), in.steps[0],
                                     static_cast<int64_t>(values->size()));
  std::vector<Dim> out;
  for (int64_t i = 0; i < r.count; ++i)
    out.push_back((*values)[static_cast<size_t>(r.start + i * r.step)]);
  c.set_values(0, std::move(out));
}

void infer_slice(InferContext& c) {
  const auto* starts = c.values(1);
  const auto* ends = c.values(2);
  const auto axes = c.ints(3);
  const auto steps = c.ints(4);
  if (starts == nullptr || ends == nullptr || (c.has(3) && !axes) || (c.has(4) && !steps)) {
    return c.set_shape(0, vaguely_sliced(c));
  }
  SliceInputs in{*starts, *ends, axes.value_or(std::vector<int64_t>{}),
                 steps.value_or(std::vector<int64_t>{})};
  check_slice(in, c.rank(0), c.has(3), c.has(4));
  Shape shape = c.shape(0);
  for (size_t i = 0; i < in.axes.size(); ++i) {
    Dim& d = shape[static_cast<size_t>(in.axes[i])];
    d = slice_length(d, in.starts[i], in.ends[i], in.steps[i]);
  }
  c.set_shape(0, shape);
  slice_values(c, in);
}

void eval_slice(EvalContext& c) {
  const Tensor& x = c.input(0);
  const auto ints = [&](size_t i) {
    return c.has(i) ? c.input(i).to_ints() : std::vector<int64_t>{};
  };
  const std::vector<int64_t> starts = ints(1);
  const std::vector<int64_t> ends = ints(2);
  SliceInputs in{{starts.begin(), starts.end()}, {ends.begin(), ends.end()}, ints(3), ints(4)};
  check_slice(in, x.rank(), c.has(3), c.has(4));
  Dims dims = x.dims();
  Dims strides = strides_of(dims);
  int64_t start = 0;
  for (size_t i = 0; i < in.axes.size(); ++i) {
    const auto axis = static_cast<size_t>(in.axes[i]);
    const SliceRange r = clamped_range(starts[i], ends[i], in.steps[i], x.dim(axis));
    start += r.start * strides_of(x.dims())[axis];
    dims[axis] = r.count;
    strides[axis] =
        r.count > 1 ? strides[axis] * r.step : 0;  // a step beyond the dim is never taken
  }
  copy_strided(x, strides, start, c.output(0, dims));
}

// ---- Tile

void infer_tile(InferContext& c) {
  Shape shape = c.shape(0);
  const auto* repeats = c.values(1);
  TREADLE_CHECK(repeats == nullptr || repeats->size() == shape.size(), kInvalidModel,
                "'repeats' has ", repeats != nullptr ? repeats->size() : 0, " entries for rank ",
                shape.size());
  for (size_t d = 0; d < shape.size(); ++d)
    shape[d] = repeats != nullptr ? shape[d] * (*repeats)[d] : Dim::unknown();
  c.set_shape(0, shape);
}

void eval_tile(EvalContext& c) {
  const Tensor& x = c.input(0);
  const std::vector<int64_t> repeats = c.input(1).to_ints();
  TREADLE_CHECK(repeats.size() == x.dims().size(), kInvalidData, "'repeats' has ", repeats.size(),
                " entries for rank ", x.rank());
  const Dims own = strides_of(x.dims());
  Dims dims, interleaved, strides;
  for (size_t d = 0; d < repeats.size(); ++d) {
    TREADLE_CHECK(repeats[d] >= 0, kInvalidData, "a repeat of ", repeats[d],
                  ": expected at least 0");
    dims.push_back(checked_mul(x.dim(d), repeats[d]));
    interleaved.insert(interleaved.end(), {repeats[d], x.dim(d)});
    strides.insert(strides.end(), {0, own[d]});
  }
  Tensor view = c.output(0, dims).reshaped(interleaved);
  copy_strided(x, strides, 0, view);
}

constexpr OpDef kRows[] = {
    {.kind = "Slice",
     .inputs = "data:T starts:Tind ends:Tind axes?:Tind steps?:Tind",
     .outputs = "output:T",
     .types = "T=all Tind=int32,int64",
     .infer = infer_slice,
     .eval = eval_slice},
    {.kind = "Tile",
     .inputs = "input:T repeats:int64",
     .outputs = "output:T",
     .types = "T=all",
     .infer = infer_tile,
     .eval = eval_tile},
};

}  // namespace

std::span<const OpDef> slice_ops() { return kRows; }

}  // namespace treadle

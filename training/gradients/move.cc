// Gradients of what moves whole blocks of elements: the way back.
#include <algorithm>

#include "training/gradients/families.h"

namespace treadle {
namespace {

using Context = GradientContext;

void transpose_gradient(Context& c) {
  std::vector<int64_t> forward = c.attributes().ints("perm");
  if (forward.empty()) return c.set(0, c.gy().op("Transpose"));
  std::vector<int64_t> back(forward.size());
  for (size_t i = 0; i < forward.size(); ++i) {
    back[static_cast<size_t>(forward[i])] = static_cast<int64_t>(i);
  }
  c.set(0, transpose(c.gy(), back));
}

void concat_gradient(Context& c) {
  const int64_t axis = c.axis_of(c.attributes().i("axis", 0));
  std::vector<Expr> sizes;
  for (size_t i = 0; i < c.input_count(); ++i) sizes.push_back(size_of(c.x(i), axis));
  const std::vector<ValueId> parts = c.builder().add("Split", {c.gy().id(), concat(sizes, 0).id()},
                                                     {{"axis", axis}}, c.input_count());
  for (size_t i = 0; i < parts.size(); ++i) {
    if (c.wants(i)) c.set(i, {c.builder(), parts[i]});
  }
}

void split_gradient(Context& c) {
  std::vector<Expr> parts;
  for (size_t i = 0; i < c.output_count(); ++i) parts.push_back(c.gy_or_zeros(i));
  c.set(0, concat(parts, c.axis_of(c.attributes().i("axis", 0))));
}

// The operator of the node on the numbers of its input's elements, instead of the input.
Expr moved_numbers(Context& c) {
  std::vector<Expr> others;
  for (size_t i = 1; i < c.input_count(); ++i) {
    others.push_back(c.has(i) ? c.x(i) : Expr(c.builder(), {}));
  }
  return numbered(c.x()).op(c.node().op->kind, others, c.attributes());
}

void by_numbers(Context& c) { c.set(0, scatter_numbered(c.gy(), moved_numbers(c), c.x())); }

// What a slice of step 1 left away before and after, on each axis; nothing where it is not known.
std::vector<int64_t> left_away(Context& c) {
  for (size_t i = 1; i < c.input_count(); ++i) {
    if (c.has(i) && !c.x(i).constant().defined()) return {};
  }
  const Shape shape = c.x().shape();
  const std::vector<int64_t> starts = c.known_ints(1);
  const std::vector<int64_t> ends = c.known_ints(2);
  std::vector<int64_t> axes;
  for (size_t i = 0; i < starts.size(); ++i) axes.push_back(static_cast<int64_t>(i));
  if (c.has(3)) axes = c.known_ints(3);
  if (c.has(4)) {
    for (int64_t step : c.known_ints(4)) {
      if (step != 1) return {};
    }
  }
  std::vector<int64_t> pads(2 * shape.size());
  for (size_t i = 0; i < starts.size(); ++i) {
    const auto axis = static_cast<size_t>(c.axis_of(axes[i]));
    if (!shape[axis].known()) return {};
    const int64_t size = shape[axis].value();
    auto bounded = [&](int64_t at) {
      return std::clamp<int64_t>(at < 0 ? at + size : at, 0, size);
    };
    const int64_t begin = bounded(starts[i]);
    pads[axis] = begin;
    pads[shape.size() + axis] = size - std::max(begin, bounded(ends[i]));
  }
  return pads;
}

void slice_gradient(Context& c) {
  const std::vector<int64_t> pads = left_away(c);
  if (pads.empty()) return by_numbers(c);
  c.set(0, c.gy().op("Pad", {c.ints(pads)}));
}

// Padding with a constant goes back by pads of the other sign. The other modes repeat elements.
void pad(Context& c) {
  if (c.attributes().s("mode", "constant") != "constant") return by_numbers(c);
  const Expr none = {c.builder(), {}};
  const Expr axes = c.has(3) ? c.x(3) : none;
  if (c.wants(0)) {
    const Expr back = c.x(1).constant().defined() ? [&] {
      std::vector<int64_t> pads = c.known_ints(1);
      for (int64_t& p : pads) p = -p;
      return c.ints(pads);
    }()
                                                  : -c.x(1);
    c.set(0, c.gy().op("Pad", {back, none, axes}));
  }
  if (!c.wants(2)) return;
  const Expr added = zeros_like(c.x()).op("Pad", {c.x(1), c.gy().number(1), axes});
  c.set(2, reshape_like((c.gy() * added).op("ReduceSum", {{"keepdims", int64_t{0}}}), c.x(2)));
}

// [r0, d0, r1, d1 …]: the repeats are summed.
void tile(Context& c) {
  const int64_t rank = c.x().rank();
  std::vector<Expr> sizes;
  std::vector<int64_t> repeats;
  for (int64_t i = 0; i < rank; ++i) {
    sizes.push_back(c.x(1).constant().defined() ? c.ints({c.known_ints(1)[static_cast<size_t>(i)]})
                                                : slice(c.x(1), 0, i, i + 1));
    sizes.push_back(size_of(c.x(), i));
    repeats.push_back(2 * i);
  }
  if (rank == 0) return c.set(0, c.gy());
  c.set(0, sum(reshape(c.gy(), concat(sizes, 0)), repeats, false));
}

// gy as [sizes of `blocks` in this order], transposed, as x.
void unblock(Context& c, const std::vector<Expr>& blocks, const std::vector<int64_t>& order) {
  c.set(0, reshape_like(transpose(reshape(c.gy(), concat(blocks, 0)), order), c.x()));
}

void depth_to_space(Context& c) {
  const Expr x = c.x();
  const Expr b = c.ints({c.attributes().i("blocksize", 1)});
  const Expr depth =
      c.x().shape()[1].known()
          ? c.ints({x.shape()[1].value() / (b.constant().to_ints()[0] * b.constant().to_ints()[0])})
          : size_of(x, 1) / (b * b);
  const bool columns = c.attributes().s("mode", "DCR") == "CRD";
  unblock(
      c, {size_of(x, 0), depth, size_of(x, 2), b, size_of(x, 3), b},
      columns ? std::vector<int64_t>{0, 1, 3, 5, 2, 4} : std::vector<int64_t>{0, 3, 5, 1, 2, 4});
}

void space_to_depth(Context& c) {
  const Expr x = c.x();
  const Expr y = c.y();
  const Expr b = c.ints({c.attributes().i("blocksize", 1)});
  if (c.attributes().s("mode", "DCR") == "CRD") {
    return unblock(c, {size_of(x, 0), size_of(x, 1), b, b, size_of(y, 2), size_of(y, 3)},
                   {0, 1, 4, 2, 5, 3});
  }
  unblock(c, {size_of(x, 0), b, b, size_of(x, 1), size_of(y, 2), size_of(y, 3)},
          {0, 3, 4, 1, 5, 2});
}

// Its own inverse, or projection.
void again(Context& c) {
  std::vector<Expr> others;
  for (size_t i = 1; i < c.input_count(); ++i) {
    others.push_back(c.has(i) ? c.x(i) : Expr(c.builder(), {}));
  }
  c.set(0, c.gy().op(c.node().op->kind, others, c.attributes()));
}

constexpr GradientDef kRules[] = {
    {"Transpose", transpose_gradient},
    {"Concat", concat_gradient},
    {"Split", split_gradient},
    {"Slice", slice_gradient},
    {"Pad", pad},
    {"CenterCropPad", by_numbers},
    {"Compress", by_numbers},
    {"Tile", tile},
    {"DepthToSpace", depth_to_space},
    {"SpaceToDepth", space_to_depth},
    {"Trilu", again},
    {"ReverseSequence", again},
};

}  // namespace

std::span<const GradientDef> move_gradients() { return kRules; }

}  // namespace treadle

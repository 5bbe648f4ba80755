// What reads a plane at places between its cells, for differentiation: GridSample, AffineGrid,
// DeformConv.
#include <cmath>

#include "graph/ops/conv_params.h"
#include "training/gradients/families.h"

namespace treadle {
namespace {

using Context = GradientContext;

Expr floor(const Expr& x) { return x.op("Floor"); }
Expr clamp(const Expr& x, const Expr& low, const Expr& high) {
  return minimum(maximum(x, low), high);
}
Expr number_of(const Expr& size, DType dtype) { return cast(scalar(size), dtype); }

// ---- Interpolation

// One spatial axis of the input: its size as a number, and what lies around it.
struct Axis {
  Expr size;
  enum class Padding { kZeros, kBorder, kReflection } padding = Padding::kZeros;
  bool align_corners = false;

  double low() const { return align_corners ? 0 : -0.5; }
  Expr high() const { return size - (align_corners ? 1.0 : 0.5); }
};

// Folded into [low, high] at both ends.
Expr reflect(const Expr& x, const Axis& axis) {
  const Expr range = axis.high() - axis.low();
  const Expr safe = where(less(0, range), range, 1);
  const Expr from = (x - axis.low()).op("Abs");
  const Expr turns = from - floor(from / (safe * 2)) * (safe * 2);
  const Expr folded = where(less(safe, turns), safe * 2 - turns, turns) + axis.low();
  return where(less(0, range), folded, axis.low());
}

// The cells along one axis that a place reads, [batch, places], and their weights.
struct Tap {
  Expr cell;
  Expr weight;
};

// A cell beyond the ends is another one, or counts nothing.
Tap resolved(const Expr& cell, const Expr& weight, const Axis& axis) {
  const Expr last = axis.size - 1;
  const Expr zero = cell.number(0);
  if (axis.padding == Axis::Padding::kZeros) {
    const Expr inside = both(less(-0.5, cell), less(cell, axis.size - 0.5));
    return {clamp(cell, zero, last), where(inside, weight, 0)};
  }
  const bool border = axis.padding == Axis::Padding::kBorder;
  // The reference cuts off towards zero.
  const Expr inside = border ? cell : floor(maximum(reflect(cell, axis), zero));
  return {clamp(inside, zero, last), weight};
}

// Keys' cubic for the cells floor(x)-1 … floor(x)+2.
std::vector<Expr> cubic_weights(const Expr& f) {
  constexpr double kA = -0.75;
  auto near = [](const Expr& t) { return ((kA + 2) * t - (kA + 3)) * t * t + 1; };
  auto far = [](const Expr& t) { return ((kA * t - 5 * kA) * t + 8 * kA) * t - 4 * kA; };
  return {far(f + 1), near(f), near(1 - f), far(2 - f)};
}

enum class Mode { kLinear, kNearest, kCubic };

std::vector<Tap> taps_at(const Expr& x, const Axis& axis, Mode mode) {
  const Expr whole = mode == Mode::kNearest ? x.op("Round") : floor(x);
  const Expr f = x - whole;
  std::vector<Expr> weights = {ones_like(x)};
  if (mode == Mode::kLinear) weights = {1 - f, f};
  if (mode == Mode::kCubic) weights = cubic_weights(f);
  const double first = mode == Mode::kCubic ? -1 : 0;
  std::vector<Tap> taps;
  for (size_t k = 0; k < weights.size(); ++k) {
    taps.push_back(resolved(whole + (first + static_cast<double>(k)), weights[k], axis));
  }
  return taps;
}

// One more axis: each tap so far with each of the axis.
std::vector<Tap> crossed(const std::vector<Tap>& taps, const std::vector<Tap>& own,
                         const Axis& axis) {
  if (taps.empty()) return own;
  std::vector<Tap> all;
  for (const Tap& a : taps) {
    for (const Tap& b : own) all.push_back({a.cell * axis.size + b.cell, a.weight * b.weight});
  }
  return all;
}

// The planes [batch, channels, cells] at the taps [batch, places]: [batch, channels, places].
Expr read(const Expr& planes, const std::vector<Tap>& taps) {
  const Expr rows = transpose(planes, {0, 2, 1});  // [batch, cells, channels]
  const Expr batch = unsqueeze(range(size_of(rows, 0)), {1});
  const Expr flat_rows = reshape(rows, concat({rows.ints({-1}), size_of(rows, 2)}, 0));
  const Expr start = batch * scalar(size_of(rows, 1));
  Expr total;
  for (const Tap& tap : taps) {
    const Expr at = cast(tap.cell, DType::kInt64) + start;
    const Expr term = flat_rows.op("Gather", {at}) * unsqueeze(tap.weight, {2});
    total = total.id().valid() ? total + term : term;
  }
  return transpose(total, {0, 2, 1});
}

Expr flat_planes(const Expr& x) {
  return reshape(x, concat({size_of(x, 0), size_of(x, 1), x.ints({-1})}, 0));
}

// ---- GridSample

Mode grid_mode(const Attributes& a) {
  const std::string mode = a.s("mode", "linear");
  return mode == "nearest" ? Mode::kNearest : mode == "cubic" ? Mode::kCubic : Mode::kLinear;
}

Axis::Padding grid_padding(const Attributes& a) {
  const std::string padding = a.s("padding_mode", "zeros");
  return padding == "border"       ? Axis::Padding::kBorder
         : padding == "reflection" ? Axis::Padding::kReflection
                                   : Axis::Padding::kZeros;
}

// From [-1, 1] to cells; the cubic kernel pads its cells one by one instead.
Expr grid_place(const Expr& n, const Axis& axis, Mode mode) {
  const Expr x = axis.align_corners ? (n + 1) / 2 * (axis.size - 1) : ((n + 1) * axis.size - 1) / 2;
  if (mode == Mode::kCubic || axis.padding == Axis::Padding::kZeros) return x;
  if (axis.padding == Axis::Padding::kReflection) return reflect(x, axis);
  return clamp(x, x.number(0), axis.size - 1);
}

std::vector<Expr> grid_sample(Context& c) {
  const Expr x = c.x(0);
  const DType dtype = x.dtype();
  const int64_t rank = x.rank() - 2;
  const Expr grid =
      reshape(cast(c.x(1), dtype), concat({size_of(c.x(1), 0), c.ints({-1, rank})}, 0));
  const Mode mode = grid_mode(c.attributes());
  std::vector<Tap> taps;
  for (int64_t d = 0; d < rank; ++d) {
    const Axis axis{number_of(size_of(x, d + 2), dtype), grid_padding(c.attributes()),
                    c.attributes().i("align_corners", 0) != 0};
    // The grid names the last axis first.
    const Expr n = squeeze(slice(grid, 2, rank - 1 - d, rank - d), {2});
    taps = crossed(taps, taps_at(grid_place(n, axis, mode), axis, mode), axis);
  }
  std::vector<Expr> shape = {size_of(x, 0), size_of(x, 1)};
  for (int64_t d = 0; d < rank; ++d) shape.push_back(size_of(c.x(1), d + 1));
  return {reshape(read(flat_planes(x), taps), concat(shape, 0))};
}

// ---- AffineGrid

// Where the cells of an axis lie in [-1, 1].
Expr spaced(Context& c, const Expr& size, bool align_corners) {
  const DType dtype = c.x(0).dtype();
  const Expr cells = cast(range(size), dtype);
  const Expr n = number_of(size, dtype);
  if (!align_corners) return (cells * 2 + 1) / n - 1;
  return cells * 2 / maximum(n - 1, n.number(1)) - 1;
}

std::vector<Expr> affine_grid(Context& c) {
  const Expr theta = c.x(0);
  const Dim sizes = c.x(1).shape()[0];
  if (!sizes.known()) Context::refuse("whether it is 2-D or 3-D is known at run time only");
  const int64_t rank = sizes.value() - 2;
  const bool align = c.attributes().i("align_corners", 0) != 0;
  std::vector<int64_t> spatial;
  for (int64_t d = 0; d < rank; ++d) spatial.push_back(d + 2);
  auto column = [&](int64_t k) {  // of theta, [batch, rank, 1, 1 …]
    return unsqueeze(squeeze(slice(theta, 2, k, k + 1), {2}), spatial);
  };
  Expr y = column(rank);
  for (int64_t k = 0; k < rank; ++k) {
    const int64_t axis = rank - 1 - k;  // the last axis comes first
    const Expr known = c.x(1).constant().defined()
                           ? c.ints({c.known_ints(1)[static_cast<size_t>(axis) + 2]})
                           : slice(c.x(1), 0, axis + 2, axis + 3);
    std::vector<int64_t> trailing;
    for (int64_t d = 1; d < rank - axis; ++d) trailing.push_back(d);
    y = y + column(k) * unsqueeze(spaced(c, known, align), trailing);
  }
  std::vector<int64_t> order = {0};
  order.insert(order.end(), spatial.begin(), spatial.end());
  order.push_back(1);
  return {transpose(y, order)};
}

// ---- DeformConv

// Where window cell `tap` lies at each output place along one axis, without the offset.
Expr window_places(Context& c, const ConvParams& p, size_t axis, int64_t tap) {
  std::vector<double> places;
  for (int64_t o = 0; o < p.output[axis]; ++o) {
    places.push_back(
        static_cast<double>(o * p.strides[axis] + tap * p.dilations[axis] - p.pads_begin[axis]));
  }
  const Expr values = c.constant(Tensor::of<double>({p.output[axis]}, places));
  std::vector<int64_t> trailing;
  for (size_t d = axis + 1; d < p.rank(); ++d) trailing.push_back(static_cast<int64_t>(d - axis));
  return unsqueeze(cast(values, c.x(0).dtype()), trailing);
}

// The batch may be of any size.
ConvParams known_window(Context& c) {
  Shape shape = c.x(0).shape();
  shape[0] = 1;
  const auto x = concrete(shape);
  const auto w = concrete(c.x(1).shape());
  if (!x || !w) Context::refuse("the sizes of its input or weights are known at run time only");
  return conv_params(c.attributes(), *x, *w);
}

// Of these sizes behind the batch's, times `groups`.
Expr batched(const Expr& x, const Expr& batch, int64_t groups, const Dims& dims) {
  const Expr first = groups == 1 ? batch : batch * x.ints({groups});
  return reshape(x, concat({first, x.ints(dims)}, 0));
}

// For each input channel and window cell what each place reads: [batch, channels, cells, places].
Expr deform_columns(Context& c, const ConvParams& p) {
  const int64_t groups = c.attributes().i("offset_group", 1);
  const int64_t cells = element_count(p.kernel);
  const int64_t places = element_count(p.output);
  const Expr batch = size_of(c.x(0), 0);
  Dims offset_dims = {cells, static_cast<int64_t>(p.rank())};
  offset_dims.insert(offset_dims.end(), p.output.begin(), p.output.end());
  const Expr offsets = batched(c.x(2), batch, groups, offset_dims);
  const Expr planes =
      batched(c.x(0), batch, groups, {p.in_channels / groups, element_count(p.input)});
  std::vector<Expr> columns;
  for (int64_t k = 0; k < cells; ++k) {
    const Expr of_cell = squeeze(slice(offsets, 1, k, k + 1), {1});
    std::vector<Tap> taps;
    int64_t rest = k;
    Dims tap(p.rank());
    for (size_t d = p.rank(); d-- > 0; rest /= p.kernel[d]) tap[d] = rest % p.kernel[d];
    for (size_t d = 0; d < p.rank(); ++d) {
      const auto at = static_cast<int64_t>(d);
      const Axis axis{c.x(0).number(static_cast<double>(p.input[d]))};
      const Expr offset = squeeze(slice(of_cell, 1, at, at + 1), {1});
      const Expr place = batched(offset + window_places(c, p, d, tap[d]), batch, groups, {places});
      taps = crossed(taps, taps_at(place, axis, Mode::kLinear), axis);
    }
    columns.push_back(unsqueeze(read(planes, taps), {2}));
  }
  Expr all = concat(columns, 2);  // [batch * groups, channels, cells, places]
  if (c.has(4)) all = all * batched(c.x(4), batch, groups, {1, cells, places});
  return batched(all, batch, 1, {p.in_channels, cells, places});
}

std::vector<Expr> deform_conv(Context& c) {
  const ConvParams p = known_window(c);
  const int64_t places = element_count(p.output);
  const int64_t length = p.group_inputs() * element_count(p.kernel);
  const Expr batch = size_of(c.x(0), 0);
  const Expr columns = batched(deform_columns(c, p), batch, 1, {p.group, length, places});
  const Expr weights = reshape(c.x(1), c.ints({1, p.group, p.group_outputs(), length}));
  Dims dims = p.output_dims();
  dims.erase(dims.begin());
  Expr y = batched(matmul(weights, columns), batch, 1, dims);
  if (c.has(3)) {
    std::vector<int64_t> spatial;
    for (size_t d = 0; d < p.rank(); ++d) spatial.push_back(static_cast<int64_t>(d) + 1);
    y = y + unsqueeze(c.x(3), spatial);
  }
  return {y};
}

constexpr GradientDef kRules[] = {
    {.kind = "GridSample", .parts = grid_sample},
    {.kind = "AffineGrid", .parts = affine_grid},
    {.kind = "DeformConv", .parts = deform_conv},
};

}  // namespace

std::span<const GradientDef> sample_gradients() { return kRules; }

}  // namespace treadle

// GridSample: reads an input at the places that a grid names, for any number of spatial axes.
#include <algorithm>
#include <cmath>

#include "graph/ops/arithmetic.h"
#include "graph/ops/families.h"
#include "graph/ops/op.h"

namespace treadle {
namespace {

// Grid [N, out…, spatial rank] over input [N, C, spatial…].
void check_shapes(const Shape& x, const Shape& grid) {
  TREADLE_CHECK(x.size() >= 3 && grid.size() == x.size(), kInvalidModel, "input of shape ",
                shape_text(x), " and grid of shape ", shape_text(grid),
                ": expected equal ranks of at least 3");
  TREADLE_CHECK(!grid.back().known() || grid.back().is(static_cast<int64_t>(x.size()) - 2),
                kInvalidModel, "the grid's last dim is ", grid.back().text(), ", expected ",
                x.size() - 2);
  TREADLE_CHECK(!x[0].known() || !grid[0].known() || x[0] == grid[0], kInvalidModel,
                "the input's batch is ", x[0].text(), ", the grid's ", grid[0].text());
}

void infer_grid_sample(InferContext& c) {
  const Shape& x = c.shape(0);
  const Shape& grid = c.shape(1);
  check_shapes(x, grid);
  Shape shape{x[0], x[1]};
  shape.insert(shape.end(), grid.begin() + 1, grid.end() - 1);
  c.set_shape(0, shape);
}

enum class Mode { kLinear, kNearest, kCubic };
enum class Padding { kZeros, kBorder, kReflection };

struct Options {
  Mode mode;
  Padding padding;
  bool align_corners;
};

Options read_options(const Attributes& a) {
  const std::string mode = a.s("mode", "linear");
  const std::string padding = a.s("padding_mode", "zeros");
  TREADLE_CHECK(mode == "linear" || mode == "nearest" || mode == "cubic", kInvalidModel,
                "attribute mode is '", mode, "', expected linear, nearest or cubic");
  TREADLE_CHECK(padding == "zeros" || padding == "border" || padding == "reflection", kInvalidModel,
                "attribute padding_mode is '", padding, "', expected zeros, border or reflection");
  return {.mode = mode == "linear"    ? Mode::kLinear
                  : mode == "nearest" ? Mode::kNearest
                                      : Mode::kCubic,
          .padding = padding == "zeros"    ? Padding::kZeros
                     : padding == "border" ? Padding::kBorder
                                           : Padding::kReflection,
          .align_corners = a.i("align_corners", 0) != 0};
}

// Folds x into [low, high] by reflection at both ends.
double reflect(double x, double low, double high) {
  const double range = high - low;
  if (range <= 0) return low;
  const double turns = std::fmod(std::abs(x - low), 2 * range);
  return low + (turns > range ? 2 * range - turns : turns);
}

// One axis of the input.
struct Axis {
  int64_t size;
  Options options;

  double low() const { return options.align_corners ? 0 : -0.5; }
  double high() const { return static_cast<double>(size) - (options.align_corners ? 1 : 0.5); }

  double denormalize(double n) const {
    const auto length = static_cast<double>(size);
    return options.align_corners ? (n + 1) / 2 * (length - 1) : ((n + 1) * length - 1) / 2;
  }
  double pad(double x) const {
    if (!std::isfinite(x)) x = -1e9;
    // The cubic kernel reaches over the border from where it stands; its cells are padded one by
    // one.
    if (options.mode == Mode::kCubic) return std::clamp(x, -1e9, 1e9);
    if (options.padding == Padding::kBorder)
      return std::clamp(x, 0.0, static_cast<double>(size) - 1);
    if (options.padding == Padding::kReflection) return reflect(x, low(), high());
    return std::clamp(x, -1e9, 1e9);
  }
  // The cell that is read for `cell`; -1 for a zero.
  int64_t resolve(int64_t cell) const {
    if (cell >= 0 && cell < size) return cell;
    if (options.padding == Padding::kZeros) return -1;
    const double x = static_cast<double>(cell);
    const double inside = options.padding == Padding::kBorder ? x : reflect(x, low(), high());
    return std::clamp<int64_t>(static_cast<int64_t>(inside), 0, size - 1);
  }
};

struct Tap {
  int64_t offset;
  double weight;
};

// Weights of the cells floor(x)-1 … floor(x)+2 (Keys' cubic, a = -0.75).
std::vector<double> cubic_weights(double f) {
  constexpr double kA = -0.75;
  const auto near = [](double t) { return ((kA + 2) * t - (kA + 3)) * t * t + 1; };
  const auto far = [](double t) { return ((kA * t - 5 * kA) * t + 8 * kA) * t - 4 * kA; };
  return {far(f + 1), near(f), near(1 - f), far(2 - f)};
}

// Extends each tap along one more axis.
void extend(std::vector<Tap>& taps, const Axis& axis, double x) {
  const double whole = axis.options.mode == Mode::kNearest ? std::nearbyint(x) : std::floor(x);
  const double f = x - whole;
  auto first = static_cast<int64_t>(whole);
  std::vector<double> weights{1};
  if (axis.options.mode == Mode::kLinear) weights = {1 - f, f};
  if (axis.options.mode == Mode::kCubic) {
    weights = cubic_weights(f);
    --first;
  }
  std::vector<Tap> next;
  for (const Tap& tap : taps) {
    for (size_t k = 0; k < weights.size(); ++k) {
      const int64_t cell = axis.resolve(first + static_cast<int64_t>(k));
      if (cell >= 0) next.push_back({tap.offset * axis.size + cell, tap.weight * weights[k]});
    }
  }
  taps = std::move(next);
}

template <class T>
T nearest(const T* from, const std::vector<Tap>& taps) {
  return taps.empty() ? T{} : from[taps.front().offset];
}

// Of integers the sum is cut off, as Cast does it.
template <class T>
T weighted_sum(const T* from, const std::vector<Tap>& taps) {
  if constexpr (std::is_same_v<T, std::string>) {
    fail(Code::kInvalidModel, "texts are sampled by mode nearest alone");
  } else if constexpr (std::is_arithmetic_v<T> || is_reduced_float<T>) {
    double sum = 0;
    for (const Tap& tap : taps) sum += tap.weight * static_cast<double>(from[tap.offset]);
    return convert<T>(sum);
  } else {
    std::complex<double> sum;
    for (const Tap& tap : taps) sum += tap.weight * std::complex<double>(from[tap.offset]);
    return T(sum);
  }
}

template <class T>
void sample(EvalContext& c, const std::vector<Axis>& axes, Tensor& y) {
  const Tensor& x = c.input(0);
  const std::vector<double> grid = c.input(1).to_doubles();
  const auto rank = static_cast<int64_t>(axes.size());
  const bool is_nearest = axes.front().options.mode == Mode::kNearest;
  const T* data = x.data<T>().data();
  T* to = y.data<T>().data();
  int64_t plane = 1;
  for (const Axis& axis : axes) plane *= axis.size;
  const int64_t batch = x.dim(0);
  const int64_t channels = x.dim(1);
  const int64_t places = static_cast<int64_t>(grid.size()) / std::max<int64_t>(rank * batch, 1);
  std::vector<Tap> taps;
  for (int64_t n = 0; n < batch; ++n) {
    c.poll();
    for (int64_t p = 0; p < places; ++p) {
      taps.assign(plane == 0 ? 0 : 1, {0, 1});
      // The grid names the last axis first.
      const double* at = grid.data() + (n * places + p) * rank;
      for (int64_t d = 0; d < rank && plane != 0; ++d) {
        const Axis& axis = axes[static_cast<size_t>(d)];
        extend(taps, axis, axis.pad(axis.denormalize(at[rank - 1 - d])));
      }
      for (int64_t k = 0; k < channels; ++k) {
        const T* from = data + (n * channels + k) * plane;
        to[(n * channels + k) * places + p] =
            is_nearest ? nearest(from, taps) : weighted_sum(from, taps);
      }
    }
  }
}

void eval_grid_sample(EvalContext& c) {
  const Dims& x = c.input(0).dims();
  const Dims& grid = c.input(1).dims();
  check_shapes(symbolic(x), symbolic(grid));
  const Options options = read_options(c.attributes());
  std::vector<Axis> axes;
  for (size_t d = 2; d < x.size(); ++d) axes.push_back({x[d], options});
  Dims dims{x[0], x[1]};
  dims.insert(dims.end(), grid.begin() + 1, grid.end() - 1);
  Tensor& y = c.output(0, dims);
  using Elements =
      Types<float, double, Float16, Bfloat16, int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t,
            uint32_t, uint64_t, bool, std::string, std::complex<float>, std::complex<double>>;
  dispatch(c.dtype(0), Elements{}, [&]<class T>() { sample<T>(c, axes, y); });
}

constexpr OpDef kRows[] = {
    {.kind = "GridSample",
     .inputs = "X:T1 grid:T2",
     .outputs = "Y:T1",
     .types = "T1=numbers,bool,string,complex64,complex128 T2=floats",
     .attributes = "align_corners:i=0 mode:s=linear padding_mode:s=zeros",
     .infer = infer_grid_sample,
     .eval = eval_grid_sample},
};

}  // namespace

std::span<const OpDef> grid_sample_ops() { return kRows; }

}  // namespace treadle

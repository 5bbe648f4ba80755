#include "graph/ops/resize_params.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "graph/ops/axes.h"

namespace treadle {
namespace {

// The axes that scales, sizes and roi refer to.
std::vector<size_t> read_axes(const Attributes& attributes, size_t rank) {
  std::vector<size_t> axes;
  if (attributes.has("axes")) {
    for (int64_t a : distinct_axes(attributes.ints("axes"), static_cast<int64_t>(rank))) {
      axes.push_back(static_cast<size_t>(a));
    }
  } else {
    for (size_t i = 0; i < rank; ++i) axes.push_back(i);
  }
  return axes;
}

// One value for each of the axes; an entry for each dim where the axes are a part of them is an
// error.
void check_count(size_t count, size_t axes, const char* name) {
  TREADLE_CHECK(count == axes, kInvalidData, name, " has ", count, " elements, expected ", axes);
}

// floor(size * scale), in float as ONNX defines it.
int64_t scaled_size(int64_t size, float scale) {
  const float product = std::floor(static_cast<float>(size) * scale);
  TREADLE_CHECK(scale > 0 && product < 1e15F, kInvalidData, "scale ", scale, " for size ", size);
  return static_cast<int64_t>(product);
}

// The factor that all axes share under keep_aspect_ratio_policy; none for "stretch".
std::optional<double> common_scale(const Attributes& attributes, const Dims& x,
                                   const std::vector<size_t>& axes,
                                   const std::vector<int64_t>& sizes) {
  const std::string policy = attributes.s("keep_aspect_ratio_policy", "stretch");
  TREADLE_CHECK(policy == "stretch" || policy == "not_larger" || policy == "not_smaller",
                kInvalidModel, "attribute keep_aspect_ratio_policy is '", policy,
                "', expected stretch, not_larger or not_smaller");
  if (policy == "stretch") return std::nullopt;
  std::optional<double> scale;
  for (size_t i = 0; i < axes.size(); ++i) {
    TREADLE_CHECK(x[axes[i]] > 0, kInvalidData, "an empty axis cannot keep its aspect ratio");
    const double own = static_cast<double>(sizes[i]) / static_cast<double>(x[axes[i]]);
    if (!scale) scale = own;
    scale = policy == "not_larger" ? std::min(*scale, own) : std::max(*scale, own);
  }
  return scale;
}

struct Extent {
  size_t axis;
  int64_t input;
  int64_t output;
  double scale;
  double roi_begin = 0;
  double roi_end = 1;
};

std::vector<Extent> extents_by_scales(const Dims& x, const std::vector<size_t>& axes,
                                      const Tensor& scales) {
  const std::vector<double> factors = scales.to_doubles();
  check_count(factors.size(), axes.size(), "scales");
  std::vector<Extent> list;
  for (size_t i = 0; i < axes.size(); ++i) {
    const int64_t size = x[axes[i]];
    list.push_back({axes[i], size, scaled_size(size, static_cast<float>(factors[i])), factors[i]});
  }
  return list;
}

std::vector<Extent> extents_by_sizes(const Attributes& attributes, const Dims& x,
                                     const std::vector<size_t>& axes, const Tensor& sizes) {
  const std::vector<int64_t> wanted = sizes.to_ints();
  check_count(wanted.size(), axes.size(), "sizes");
  const std::optional<double> common = common_scale(attributes, x, axes, wanted);
  std::vector<Extent> list;
  for (size_t i = 0; i < axes.size(); ++i) {
    const auto size = static_cast<double>(x[axes[i]]);
    TREADLE_CHECK(wanted[i] >= 0 && wanted[i] <= INT32_MAX, kInvalidData, "sizes has ", wanted[i],
                  ", expected 0 to ", INT32_MAX);
    const int64_t output =
        common ? static_cast<int64_t>(std::floor(*common * size + 0.5)) : wanted[i];
    list.push_back(
        {axes[i], x[axes[i]], output, common.value_or(static_cast<double>(output) / size)});
  }
  return list;
}

enum class Transform {
  kHalfPixel,
  kHalfPixelSymmetric,
  kPytorchHalfPixel,
  kAlignCorners,
  kAsymmetric,
  kCrop
};

Transform read_transform(const Attributes& attributes) {
  constexpr std::string_view kNames[] = {"half_pixel",         "half_pixel_symmetric",
                                         "pytorch_half_pixel", "align_corners",
                                         "asymmetric",         "tf_crop_and_resize"};
  const std::string name = attributes.s("coordinate_transformation_mode", "half_pixel");
  const auto* found = std::ranges::find(kNames, name);
  TREADLE_CHECK(found != std::end(kNames), kInvalidModel,
                "attribute coordinate_transformation_mode is '", name, "'");
  return static_cast<Transform>(found - std::begin(kNames));
}

// Where output cell `x` lies in the input.
double source(Transform transform, const Extent& e, int64_t cell) {
  const auto x = static_cast<double>(cell);
  const auto input = static_cast<double>(e.input);
  const double output = e.scale * input;  // may be a fraction
  switch (transform) {
    case Transform::kHalfPixel: return (x + 0.5) / e.scale - 0.5;
    case Transform::kHalfPixelSymmetric:
      return input / 2 * (1 - static_cast<double>(e.output) / output) + (x + 0.5) / e.scale - 0.5;
    case Transform::kPytorchHalfPixel: return output == 1 ? 0 : (x + 0.5) / e.scale - 0.5;
    case Transform::kAlignCorners: return output == 1 ? 0 : x * (input - 1) / (output - 1);
    case Transform::kAsymmetric: return x / e.scale;
    case Transform::kCrop: {
      const double length = (e.roi_end - e.roi_begin) * (input - 1);
      return e.roi_begin * (input - 1) + (output == 1 ? length / 2 : x * length / (output - 1));
    }
  }
  return x;
}

// A cell's index, within the range of which `place` clamps anyway.
int64_t to_cell(double x) {
  return std::isnan(x) ? 0 : static_cast<int64_t>(std::clamp(x, -1e15, 1e15));
}

int64_t nearest_cell(const std::string& mode, double x) {
  if (mode == "floor") return to_cell(std::floor(x));
  if (mode == "ceil") return to_cell(std::ceil(x));
  if (mode == "round_prefer_ceil") return to_cell(std::floor(x + 0.5));
  TREADLE_CHECK(mode == "round_prefer_floor", kInvalidModel, "attribute nearest_mode is '", mode,
                "', expected round_prefer_floor, round_prefer_ceil, floor or ceil");
  return to_cell(std::ceil(x - 0.5));
}

double linear_kernel(double t) { return std::max(0.0, 1 - std::abs(t)); }

double cubic_kernel(double t, double a) {
  t = std::abs(t);
  if (t <= 1) return ((a + 2) * t - (a + 3)) * t * t + 1;
  return t < 2 ? ((a * t - 5 * a) * t + 8 * a) * t - 4 * a : 0;
}

class Sampler {
 public:
  explicit Sampler(const Attributes& attributes)
      : mode_(attributes.s("mode", "nearest")),
        nearest_mode_(attributes.s("nearest_mode", "round_prefer_floor")),
        transform_(read_transform(attributes)),
        antialias_(attributes.i("antialias", 0) != 0),
        exclude_outside_(attributes.i("exclude_outside", 0) != 0),
        cubic_a_(static_cast<double>(attributes.f("cubic_coeff_a", -0.75F))) {
    TREADLE_CHECK(mode_ == "nearest" || mode_ == "linear" || mode_ == "cubic", kInvalidModel,
                  "attribute mode is '", mode_, "', expected nearest, linear or cubic");
  }

  bool is_identity(const Extent& e) const {
    return e.input == e.output && e.scale == 1 && transform_ != Transform::kCrop;
  }

  ResizeAxis sample(const Extent& e) const {
    ResizeAxis axis;
    axis.axis = static_cast<int64_t>(e.axis);
    axis.input = e.input;
    axis.output = e.output;
    TREADLE_CHECK(e.input > 0 || e.output == 0, kInvalidData, "an empty axis cannot become ",
                  e.output, " cells");
    // An antialiasing filter is the kernel stretched by 1 / scale.
    const double stretch = antialias_ ? std::min(e.scale, 1.0) : 1.0;
    const double support = mode_ == "cubic" ? 2 : 1;
    const int64_t start = e.output == 0 ? 0 : to_cell(std::floor(-support / stretch)) + 1;
    if (mode_ != "nearest") axis.taps = 2 - 2 * start;
    for (int64_t i = 0; i < e.output; ++i) {
      const double x = source(transform_, e, i);
      if (transform_ == Transform::kCrop)
        axis.outside.push_back(x < 0 || x > static_cast<double>(e.input - 1));
      if (mode_ == "nearest") {
        place(axis, nearest_cell(nearest_mode_, x));
      } else {
        spread(axis, x, start, stretch);
      }
    }
    return axis;
  }

 private:
  static void place(ResizeAxis& axis, int64_t cell) {
    axis.cells.push_back(std::clamp<int64_t>(cell, 0, axis.input - 1));
  }

  void spread(ResizeAxis& axis, double x, int64_t start, double stretch) const {
    double base = std::floor(x);
    double ratio = x - base;
    // The cell on the left is preferred: an exact hit is the last cell of its window's left half.
    if (ratio == 0) {
      base -= 1;
      ratio = 1;
    }
    double sum = 0;
    const size_t first = axis.weights.size();
    for (int64_t k = start; k < start + axis.taps; ++k) {
      const double t = stretch * (static_cast<double>(k) - ratio);
      const int64_t cell = to_cell(base) + k;
      const bool left_out = exclude_outside_ && (cell < 0 || cell >= axis.input);
      axis.weights.push_back(left_out           ? 0
                             : mode_ == "cubic" ? cubic_kernel(t, cubic_a_)
                                                : linear_kernel(t));
      sum += axis.weights.back();
      place(axis, cell);
    }
    if (sum == 0 || (!antialias_ && !exclude_outside_)) return;
    for (size_t k = first; k < axis.weights.size(); ++k) axis.weights[k] /= sum;
  }

  std::string mode_;
  std::string nearest_mode_;
  Transform transform_;
  bool antialias_;
  bool exclude_outside_;
  double cubic_a_;
};

void read_roi(std::vector<Extent>& extents, const Tensor* roi) {
  TREADLE_CHECK(roi != nullptr && roi->count() == 2 * static_cast<int64_t>(extents.size()),
                kInvalidData, "tf_crop_and_resize needs a roi of ", 2 * extents.size(),
                " elements");
  const std::vector<double> values = roi->to_doubles();
  for (size_t i = 0; i < extents.size(); ++i) {
    extents[i].roi_begin = values[i];
    extents[i].roi_end = values[i + extents.size()];
  }
}

bool given(const Tensor* t) { return t != nullptr && t->count() > 0; }

// floor(size * scale) for the scales that are simple fractions.
Dim scaled_dim(const Dim& size, float scale) {
  if (size.known()) return scaled_size(size.value(), scale);
  for (int64_t below = 1; below <= 16; ++below) {
    const float above = scale * static_cast<float>(below);
    if (above >= 1 && above < 4096 && std::floor(above) == above) {
      return Dim::floor_div(size * Dim(static_cast<int64_t>(above)), below);
    }
  }
  return Dim::unknown();
}

}  // namespace

ResizeParams resize_params(const Attributes& attributes, const Dims& x,
                           const ResizeInputs& inputs) {
  TREADLE_CHECK(given(inputs.scales) != given(inputs.sizes) || x.empty(), kInvalidModel,
                "exactly one of scales and sizes must be given");
  const std::vector<size_t> axes = read_axes(attributes, x.size());
  std::vector<Extent> extents;
  if (given(inputs.scales)) extents = extents_by_scales(x, axes, *inputs.scales);
  if (given(inputs.sizes)) extents = extents_by_sizes(attributes, x, axes, *inputs.sizes);
  const Sampler sampler(attributes);
  if (read_transform(attributes) == Transform::kCrop) read_roi(extents, inputs.roi);
  ResizeParams p{.output = x, .axes = {}};
  for (const Extent& e : extents) {
    p.output[e.axis] = e.output;
    if (!sampler.is_identity(e)) p.axes.push_back(sampler.sample(e));
  }
  return p;
}

Shape resize_shape(const Attributes& attributes, const Shape& x, const Tensor* scales,
                   const std::vector<Dim>* sizes) {
  const std::vector<size_t> axes = read_axes(attributes, x.size());
  Shape shape = x;
  for (size_t axis : axes) shape[axis] = Dim::unknown();
  if (given(scales)) {
    const std::vector<double> factors = scales->to_doubles();
    check_count(factors.size(), axes.size(), "scales");
    for (size_t i = 0; i < axes.size(); ++i)
      shape[axes[i]] = scaled_dim(x[axes[i]], static_cast<float>(factors[i]));
  } else if (sizes != nullptr && !sizes->empty()) {
    check_count(sizes->size(), axes.size(), "sizes");
    if (attributes.s("keep_aspect_ratio_policy", "stretch") == "stretch") {
      for (size_t i = 0; i < axes.size(); ++i) shape[axes[i]] = (*sizes)[i];
    } else if (const auto known = concrete(x)) {
      if (const auto wanted = concrete(Shape(*sizes))) {
        const Tensor tensor = Tensor::of<int64_t>({static_cast<int64_t>(wanted->size())}, *wanted);
        for (const Extent& e : extents_by_sizes(attributes, *known, axes, tensor))
          shape[e.axis] = e.output;
      }
    }
  }
  return shape;
}

}  // namespace treadle

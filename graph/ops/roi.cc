// Pooling over regions of interest: RoiAlign, MaxRoiPool.
#include <algorithm>
#include <optional>

#include "graph/ops/arithmetic.h"
#include "graph/ops/families.h"
#include "graph/ops/move.h"
#include "graph/ops/op.h"

namespace treadle {
namespace {

void check_regions(const Shape& x, const Shape& rois, int64_t columns) {
  TREADLE_CHECK(x.size() == 4, kInvalidModel, "the input has shape ", shape_text(x),
                ", expected [N, C, H, W]");
  TREADLE_CHECK(rois.size() == 2 && (!rois[1].known() || rois[1].is(columns)), kInvalidModel,
                "the regions have shape ", shape_text(rois), ", expected [regions, ", columns, "]");
}

struct Size {
  int64_t height;
  int64_t width;
};
void check_output(Size size) {
  TREADLE_CHECK(size.height >= 1 && size.width >= 1, kInvalidModel, "an output of ", size.height,
                " x ", size.width, " cells, expected at least 1 x 1");
}

// ---- RoiAlign

constexpr int64_t kMaxSamples = 1 << 12;  // along one axis of an output cell

Size align_size(const Attributes& a) {
  const Size size{a.i("output_height", 1), a.i("output_width", 1)};
  check_output(size);
  return size;
}

void infer_roi_align(InferContext& c) {
  check_regions(c.shape(0), c.shape(1), 4);
  const Size size = align_size(c.attributes());
  c.set_shape(0, {c.shape(1)[0], c.shape(0)[1], size.height, size.width});
}

struct AlignOptions {
  Size size;
  int64_t sampling;  // samples along one axis of a cell; 0 = as many as input cells
  double scale;
  bool half_pixel;
  bool max;
};

AlignOptions align_options(const Attributes& a) {
  const std::string mode = a.s("mode", "avg");
  TREADLE_CHECK(mode == "avg" || mode == "max", kInvalidModel, "attribute mode is '", mode,
                "', expected avg or max");
  const std::string transform = a.s("coordinate_transformation_mode", "half_pixel");
  TREADLE_CHECK(transform == "half_pixel" || transform == "output_half_pixel", kInvalidModel,
                "attribute coordinate_transformation_mode is '", transform,
                "', expected half_pixel or output_half_pixel");
  return {.size = align_size(a),
          .sampling = a.i("sampling_ratio", 0),
          .scale = static_cast<double>(a.f("spatial_scale", 1)),
          .half_pixel = transform == "half_pixel",
          .max = mode == "max"};
}

// A sample between two cells of one axis; outside of the input both weights are 0.
struct Sample {
  int64_t low;
  int64_t high;
  double low_weight;
  double high_weight;
};

Sample sample_at(double x, int64_t cells) {
  if (!(x >= -1 && x <= static_cast<double>(cells))) return {0, 0, 0, 0};
  x = std::max(x, 0.0);
  const auto low = static_cast<int64_t>(x);
  if (low >= cells - 1) return {cells - 1, cells - 1, 1, 0};
  const double f = x - static_cast<double>(low);
  return {low, low + 1, 1 - f, f};
}

// The samples of every output cell along one axis, `count` a cell.
struct AxisSamples {
  int64_t count;
  std::vector<Sample> samples;
};

AxisSamples axis_samples(double begin, double end, int64_t cells, int64_t outputs,
                         const AlignOptions& o) {
  double length = end - begin;
  if (!o.half_pixel) length = std::max(length, 1.0);
  const double bin = length / static_cast<double>(outputs);
  const int64_t count = o.sampling > 0 ? o.sampling : convert<int64_t>(std::ceil(bin));
  TREADLE_CHECK(count <= kMaxSamples, kLimit, "a region needs ", count,
                " samples along an axis of an output cell, at most ", kMaxSamples, " supported");
  AxisSamples all{std::max<int64_t>(count, 0), {}};
  for (int64_t i = 0; i < outputs; ++i) {
    for (int64_t k = 0; k < count; ++k) {
      const double within = (static_cast<double>(k) + 0.5) / static_cast<double>(count);
      all.samples.push_back(sample_at(begin + (static_cast<double>(i) + within) * bin, cells));
    }
  }
  return all;
}

// One output cell. Under max each sample is the largest of its four weighted cells.
template <class T>
double pool_samples(const T* plane, int64_t width, std::span<const Sample> rows,
                    std::span<const Sample> columns, bool max) {
  std::optional<double> most;
  double sum = 0;
  for (const Sample& y : rows) {
    const T* low = plane + y.low * width;
    const T* high = plane + y.high * width;
    for (const Sample& x : columns) {
      const double a = y.low_weight * x.low_weight * static_cast<double>(low[x.low]);
      const double b = y.low_weight * x.high_weight * static_cast<double>(low[x.high]);
      const double c = y.high_weight * x.low_weight * static_cast<double>(high[x.low]);
      const double d = y.high_weight * x.high_weight * static_cast<double>(high[x.high]);
      const double largest = larger(larger(a, b), larger(c, d));
      most = most ? larger(*most, largest) : largest;
      sum += a + b + c + d;
    }
  }
  if (max) return most.value_or(0);
  return sum / static_cast<double>(std::max<size_t>(rows.size() * columns.size(), 1));
}

template <class T>
void align(EvalContext& c, const AlignOptions& o, Tensor& y) {
  const Tensor& x = c.input(0);
  const std::vector<double> rois = c.input(1).to_doubles();
  const std::vector<int64_t> batches = c.input(2).to_ints();
  const int64_t channels = x.dim(1);
  const int64_t height = x.dim(2);
  const int64_t width = x.dim(3);
  TREADLE_CHECK(height > 0 && width > 0, kInvalidData, "the input has shape ", shape_text(x.dims()),
                ": no cells to read");
  const double shift = o.half_pixel ? 0.5 : 0;
  T* to = y.data<T>().data();
  for (size_t r = 0; r < batches.size(); ++r) {
    const int64_t batch = checked_index(batches[r], x.dim(0));
    const auto corner = [&](size_t i) { return rois[4 * r + i] * o.scale - shift; };
    const AxisSamples rows = axis_samples(corner(1), corner(3), height, o.size.height, o);
    const AxisSamples columns = axis_samples(corner(0), corner(2), width, o.size.width, o);
    for (int64_t k = 0; k < channels; ++k) {
      const T* plane = x.data<T>().data() + (batch * channels + k) * height * width;
      for (int64_t i = 0; i < o.size.height; ++i) {
        c.poll();
        const std::span<const Sample> of_row(rows.samples.data() + i * rows.count,
                                             static_cast<size_t>(rows.count));
        for (int64_t j = 0; j < o.size.width; ++j) {
          const std::span<const Sample> of_column(columns.samples.data() + j * columns.count,
                                                  static_cast<size_t>(columns.count));
          *to++ = convert<T>(pool_samples(plane, width, of_row, of_column, o.max));
        }
      }
    }
  }
}

void eval_roi_align(EvalContext& c) {
  check_regions(symbolic(c.input(0).dims()), symbolic(c.input(1).dims()), 4);
  const AlignOptions options = align_options(c.attributes());
  const int64_t regions = c.input(1).dim(0);
  TREADLE_CHECK(c.input(2).dims() == Dims{regions}, kInvalidArgument, "batch_indices has shape ",
                shape_text(c.input(2).dims()), ", expected [", regions, "]");
  Tensor& y = c.output(0, {regions, c.input(0).dim(1), options.size.height, options.size.width});
  if (y.count() == 0) return;
  dispatch(c.dtype(0), FloatTypes{}, [&]<class T>() { align<T>(c, options, y); });
}

// ---- MaxRoiPool

Size pooled_size(const Attributes& a) {
  const std::vector<int64_t> shape = a.ints("pooled_shape");
  TREADLE_CHECK(shape.size() == 2, kInvalidModel, "attribute pooled_shape has ", shape.size(),
                " elements, expected 2");
  const Size size{shape[0], shape[1]};
  check_output(size);
  return size;
}

void infer_max_roi_pool(InferContext& c) {
  check_regions(c.shape(0), c.shape(1), 5);
  const Size size = pooled_size(c.attributes());
  c.set_shape(0, {c.shape(1)[0], c.shape(0)[1], size.height, size.width});
}

struct Range {
  int64_t begin;
  int64_t end;
};

// The input's cells along one axis for each output cell; both ends of the region count.
std::vector<Range> pooled_ranges(double begin, double end, int64_t cells, int64_t outputs) {
  const double first = std::round(begin);
  const double length = std::max(std::round(end) - first + 1, 1.0);
  const double bin = length / static_cast<double>(outputs);
  const auto inside = [&](double at) {
    return convert<int64_t>(std::clamp(at + first, 0.0, static_cast<double>(cells)));
  };
  std::vector<Range> ranges;
  for (int64_t i = 0; i < outputs; ++i) {
    ranges.push_back({inside(std::floor(static_cast<double>(i) * bin)),
                      inside(std::ceil(static_cast<double>(i + 1) * bin))});
  }
  return ranges;
}

// The largest element of a part of a plane, 0 where it is empty.
template <class T>
T largest_of(const T* plane, int64_t width, Range rows, Range columns) {
  if (rows.begin >= rows.end || columns.begin >= columns.end) return T{};
  T most = plane[rows.begin * width + columns.begin];
  for (int64_t i = rows.begin; i < rows.end; ++i) {
    for (int64_t j = columns.begin; j < columns.end; ++j) most = larger(most, plane[i * width + j]);
  }
  return most;
}

template <class T>
void max_pool_regions(EvalContext& c, Size size, Tensor& y) {
  const Tensor& x = c.input(0);
  const std::vector<double> rois = c.input(1).to_doubles();
  const auto scale = static_cast<double>(c.attributes().f("spatial_scale", 1));
  T* to = y.data<T>().data();
  for (size_t r = 0; r < rois.size(); r += 5) {
    const int64_t batch = checked_index(convert<int64_t>(rois[r]), x.dim(0));
    const auto rows =
        pooled_ranges(rois[r + 2] * scale, rois[r + 4] * scale, x.dim(2), size.height);
    const auto columns =
        pooled_ranges(rois[r + 1] * scale, rois[r + 3] * scale, x.dim(3), size.width);
    for (int64_t k = 0; k < x.dim(1); ++k) {
      const T* plane = x.data<T>().data() + (batch * x.dim(1) + k) * x.dim(2) * x.dim(3);
      for (const Range& row : rows) {
        c.poll();
        for (const Range& column : columns) *to++ = largest_of(plane, x.dim(3), row, column);
      }
    }
  }
}

void eval_max_roi_pool(EvalContext& c) {
  check_regions(symbolic(c.input(0).dims()), symbolic(c.input(1).dims()), 5);
  const Size size = pooled_size(c.attributes());
  Tensor& y = c.output(0, {c.input(1).dim(0), c.input(0).dim(1), size.height, size.width});
  if (y.count() == 0) return;
  dispatch(c.dtype(0), FloatTypes{}, [&]<class T>() { max_pool_regions<T>(c, size, y); });
}

constexpr OpDef kRows[] = {
    {.kind = "RoiAlign",
     .inputs = "X:T1 rois:T1 batch_indices:int64",
     .outputs = "Y:T1",
     .types = "T1=floats",
     .attributes = "coordinate_transformation_mode:s=half_pixel mode:s=avg output_height:i=1 "
                   "output_width:i=1 sampling_ratio:i=0 spatial_scale:f=1",
     .infer = infer_roi_align,
     .eval = eval_roi_align},
    {.kind = "MaxRoiPool",
     .inputs = "X:T rois:T",
     .outputs = "Y:T",
     .types = "T=floats",
     .attributes = "pooled_shape:is! spatial_scale:f=1",
     .infer = infer_max_roi_pool,
     .eval = eval_max_roi_pool},
};

}  // namespace

std::span<const OpDef> roi_ops() { return kRows; }

}  // namespace treadle

// RoiAlign and MaxRoiPool for differentiation.
#include <limits>

#include "training/gradients/families.h"

namespace treadle {
namespace {

using Context = GradientContext;

// ---- RoiAlign: an average of bilinear samples is separable. Each axis has a matrix [regions,
// outputs, cells] of the mean weights.

// The weights of the samples of all regions along one axis, from where they begin and end.
Expr align_weights(Context& c, const Expr& begin, const Expr& end, int64_t outputs, int64_t axis) {
  const Expr size = cast(scalar(size_of(c.x(0), axis)), c.x(0).dtype());
  const bool half =
      c.attributes().s("coordinate_transformation_mode", "half_pixel") == "half_pixel";
  Expr length = end - begin;
  if (!half) length = maximum(length, length.number(1));
  const Expr bin = length / static_cast<double>(outputs);  // [regions]
  const int64_t sampling = c.attributes().i("sampling_ratio", 0);
  const Expr count = sampling > 0 ? bin * 0 + static_cast<double>(sampling)
                                  : maximum(bin.op("Ceil"), bin.number(0));
  const Expr most = sampling > 0
                        ? c.ints({sampling})
                        : cast(count.op("ReduceMax", {{"keepdims", int64_t{1}}}), DType::kInt64);
  auto along = [](const Expr& x) { return unsqueeze(x, {1, 2}); };
  const Expr samples = cast(range(most), bin.dtype());                             // [samples]
  const Expr cells = unsqueeze(cast(range(c.ints({outputs})), bin.dtype()), {1});  // [outputs, 1]
  const Expr some = maximum(along(count), bin.number(1));
  const Expr within = (samples + 0.5) / some;
  const Expr at = along(begin) + (cells + within) * along(bin);  // [regions, outputs, samples]
  const Expr counts =
      both(less(samples, along(count)), both(less(at, -1).op("Not"), less(size, at).op("Not")));
  const Expr place = unsqueeze(minimum(maximum(at, at.number(0)), size - 1), {3});
  const Expr input = cast(range(size_of(c.x(0), axis)), bin.dtype());
  const Expr tent = maximum(1 - (place - input).op("Abs"), bin.number(0));
  const Expr kept = where(unsqueeze(counts, {3}), tent, 0);
  return sum(kept, {2}, false) / some;
}

std::vector<Expr> roi_align(Context& c) {
  if (c.attributes().s("mode", "avg") != "avg") Context::refuse("its mode is max");
  const auto scale = static_cast<double>(c.attributes().f("spatial_scale", 1));
  const bool half =
      c.attributes().s("coordinate_transformation_mode", "half_pixel") == "half_pixel";
  auto corner = [&](int64_t k) {
    const Expr raw = squeeze(slice(c.x(1), 1, k, k + 1), {1}) * scale;
    return half ? raw - 0.5 : raw;
  };
  const Expr rows = align_weights(c, corner(1), corner(3), c.attributes().i("output_height", 1), 2);
  const Expr columns =
      align_weights(c, corner(0), corner(2), c.attributes().i("output_width", 1), 3);
  const Expr planes = c.x(0).op("Gather", {c.x(2)});  // [regions, channels, height, width]
  return {matmul(matmul(unsqueeze(rows, {1}), planes), swap_last(unsqueeze(columns, {1})))};
}

// ---- MaxRoiPool: the boxes are rounded, so only the input has a gradient.

Expr rounded(const Expr& x) {  // halves away from zero
  return (x.op("Abs") + 0.5).op("Floor") * x.op("Sign");
}

// bool [regions, 1, cells]: what output cell `k` of `outputs` takes along an axis.
Expr pooled(Context& c, const Expr& begin, const Expr& end, int64_t axis, int64_t k,
            int64_t outputs) {
  const Expr size = cast(scalar(size_of(c.x(0), axis)), begin.dtype());
  const Expr first = rounded(begin);
  const Expr length = maximum(rounded(end) - first + 1, begin.number(1));
  const Expr bin = length / static_cast<double>(outputs);
  auto inside = [&](const Expr& at) {
    return unsqueeze(minimum(maximum(at + first, at.number(0)), size), {1, 2});
  };
  const Expr low = inside((bin * static_cast<double>(k)).op("Floor"));
  const Expr high = inside((bin * static_cast<double>(k + 1)).op("Ceil"));
  const Expr cells = cast(range(size_of(c.x(0), axis)), begin.dtype());
  return both(less(cells, low).op("Not"), less(cells, high));
}

std::vector<Expr> max_roi_pool(Context& c) {
  const std::vector<int64_t> outputs = c.attributes().ints("pooled_shape");
  const auto scale = static_cast<double>(c.attributes().f("spatial_scale", 1));
  auto column = [&](int64_t k) { return squeeze(slice(c.x(1), 1, k, k + 1), {1}); };
  auto corner = [&](int64_t k) { return column(k) * scale; };
  const double lowest = -std::numeric_limits<double>::infinity();
  const Expr planes = c.x(0).op("Gather", {cast(column(0), DType::kInt64)});
  auto largest = [&](const Expr& of, int64_t axis) {
    return of.op("ReduceMax", {c.ints({axis})}, {{"keepdims", int64_t{1}}});
  };
  std::vector<Expr> rows;
  for (int64_t i = 0; i < outputs.at(0); ++i) {
    const Expr in_row = unsqueeze(pooled(c, corner(2), corner(4), 2, i, outputs[0]), {3});
    const Expr of_row = largest(where(in_row, planes, lowest), 2);  // [regions, channels, 1, width]
    std::vector<Expr> cells;
    for (int64_t j = 0; j < outputs.at(1); ++j) {
      const Expr in_column = unsqueeze(pooled(c, corner(1), corner(3), 3, j, outputs[1]), {1});
      cells.push_back(largest(where(in_column, of_row, lowest), 3));
    }
    rows.push_back(concat(cells, 3));
  }
  const Expr y = concat(rows, 2);
  return {where(equal(y, lowest), 0, y)};
}

constexpr GradientDef kRules[] = {
    {.kind = "RoiAlign", .parts = roi_align},
    {.kind = "MaxRoiPool", .parts = max_roi_pool},
};

}  // namespace

std::span<const GradientDef> roi_gradients() { return kRules; }

}  // namespace treadle

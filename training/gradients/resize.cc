// Gradient of Resize: the transposed weights, one axis after the other.
#include "graph/ops/resize_params.h"

#include <algorithm>
#include <optional>

#include "training/gradients/families.h"

namespace treadle {
namespace {

using Context = GradientContext;

Tensor known(Context& c, size_t i) { return c.has(i) ? c.x(i).constant() : Tensor(); }

std::vector<int64_t> resized_axes(Context& c) {
  std::vector<int64_t> axes = c.attributes().ints("axes");
  if (!axes.empty()) {
    for (int64_t& axis : axes) axis = c.axis_of(axis);
    return axes;
  }
  for (int64_t i = 0; i < c.x().rank(); ++i) axes.push_back(i);
  return axes;
}

// The sizes that the weights follow from; nothing where they are known at run time only. An axis
// that is not resized may have any size.
std::optional<Dims> static_sizes(Context& c) {
  for (size_t i = 1; i < c.input_count(); ++i) {
    if (c.has(i) && !c.x(i).constant().defined()) return std::nullopt;
  }
  const std::vector<int64_t> axes = resized_axes(c);
  const Tensor scales = known(c, 2);
  Shape shape = c.x().shape();
  for (size_t d = 0; d < shape.size(); ++d) {
    const auto at =
        static_cast<size_t>(std::ranges::find(axes, static_cast<int64_t>(d)) - axes.begin());
    const bool scaled = scales.defined() && scales.count() == static_cast<int64_t>(axes.size());
    const bool stays = at == axes.size() || (scaled && scales.to_doubles()[at] == 1);
    if (!shape[d].known() && stays) shape[d] = 1;
  }
  return concrete(shape);
}

ResizeParams static_params(Context& c, const Dims& x) {
  const Tensor roi = known(c, 1);
  const Tensor scales = known(c, 2);
  const Tensor sizes = known(c, 3);
  auto given = [](const Tensor& t) { return t.defined() ? &t : nullptr; };
  return resize_params(c.attributes(), x, {given(roi), given(scales), given(sizes)});
}

// For each input cell of an axis the output cells that take from it.
struct Entry {
  int64_t output;
  double weight;
};
std::vector<std::vector<Entry>> transposed(const ResizeAxis& axis) {
  std::vector<std::vector<Entry>> rows(static_cast<size_t>(axis.input));
  for (int64_t o = 0; o < axis.output; ++o) {
    if (!axis.outside.empty() && axis.outside[static_cast<size_t>(o)]) continue;
    for (int64_t k = o * axis.taps; k < (o + 1) * axis.taps; ++k) {
      const auto at = static_cast<size_t>(k);
      const double weight = axis.weights.empty() ? 1 : axis.weights[at];
      std::vector<Entry>& row = rows[static_cast<size_t>(axis.cells[at])];
      if (weight == 0) continue;
      if (!row.empty() && row.back().output == o) {
        row.back().weight += weight;
      } else {
        row.push_back({o, weight});
      }
    }
  }
  return rows;
}

Tensor doubles_as(DType dtype, const Dims& dims, const std::vector<double>& values) {
  Tensor t(dtype, dims);
  dispatch(dtype, FloatTypes{}, [&]<class T>() {
    for (size_t i = 0; i < values.size(); ++i) {
      t.data<T>()[i] = T(static_cast<Compute<T>>(values[i]));
    }
  });
  return t;
}

// Repeats of equal numbers of neighbours, as upsampling by an integer has them: summed.
bool is_repeat(const ResizeAxis& axis, const std::vector<std::vector<Entry>>& rows) {
  if (axis.input == 0 || axis.output % axis.input != 0) return false;
  const auto each = static_cast<size_t>(axis.output / axis.input);
  for (size_t i = 0; i < rows.size(); ++i) {
    if (rows[i].size() != each) return false;
    for (size_t k = 0; k < each; ++k) {
      const bool next = rows[i][k].output == static_cast<int64_t>(i * each + k);
      if (!next || rows[i][k].weight != 1) return false;
    }
  }
  return true;
}

Expr sum_repeats(const Expr& gy, const ResizeAxis& axis) {
  std::vector<Expr> sizes;
  for (int64_t d = 0; d < gy.rank(); ++d) {
    if (d != axis.axis) {
      sizes.push_back(size_of(gy, d));
    } else {
      sizes.push_back(gy.ints({axis.input, axis.output / axis.input}));
    }
  }
  return sum(reshape(gy, concat(sizes, 0)), {axis.axis + 1}, false);
}

// Slice k of the transposed weights: of each input cell the k-th output cell that takes from it.
Expr pull(const Expr& gy, const ResizeAxis& axis, const std::vector<std::vector<Entry>>& rows,
          size_t k) {
  std::vector<int64_t> cells;
  std::vector<double> weights;
  for (const std::vector<Entry>& row : rows) {
    cells.push_back(k < row.size() ? row[k].output : 0);
    weights.push_back(k < row.size() ? row[k].weight : 0);
  }
  Dims dims(static_cast<size_t>(gy.rank()), 1);
  dims[static_cast<size_t>(axis.axis)] = axis.input;
  const Expr factors = {gy.builder(), gy.builder().constant(doubles_as(gy.dtype(), dims, weights))};
  return gy.op("Gather", {gy.ints(cells)}, {{"axis", axis.axis}}) * factors;
}

Expr pull_static(const Expr& gy, const ResizeAxis& axis) {
  const auto rows = transposed(axis);
  if (is_repeat(axis, rows)) return sum_repeats(gy, axis);
  size_t widest = 1;
  for (const auto& row : rows) widest = std::max(widest, row.size());
  Expr total = pull(gy, axis, rows, 0);
  for (size_t k = 1; k < widest; ++k) total = total + pull(gy, axis, rows, k);
  return total;
}

// ---- Sizes that the run knows: the weights of an axis are what the operator makes of an identity
// matrix.

// [input, output] of the k-th of `count` resized axes.
Expr run_time_weights(Context& c, int64_t axis, int64_t k, int64_t count) {
  const Expr size = size_of(c.x(), axis);
  const Expr identity = concat({size, size}, 0)
                            .op("ConstantOfShape")
                            .op("EyeLike", {{"dtype", static_cast<int64_t>(c.x().dtype())}});
  const Expr none = {c.builder(), {}};
  auto own = [&](size_t input) { return c.has(input) ? slice(c.x(input), 0, k, k + 1) : none; };
  const Expr roi =
      c.has(1) ? concat({own(1), slice(c.x(1), 0, count + k, count + k + 1)}, 0) : none;
  Attributes attributes = c.attributes();
  attributes.set("axes", std::vector<int64_t>{1});
  attributes.set("extrapolation_value", 0.0F);
  const bool by_scales = c.has(2) && !c.has(3);
  return identity.op("Resize", {roi, by_scales ? own(2) : none, by_scales ? none : own(3)},
                     attributes);
}

Expr pull_at_run_time(const Expr& gy, int64_t axis, const Expr& weights) {
  std::vector<int64_t> order;
  for (int64_t d = 0; d < gy.rank(); ++d) order.push_back(d);
  std::swap(order[static_cast<size_t>(axis)], order.back());  // its own inverse
  return transpose(matmul(transpose(gy, order), swap_last(weights)), order);
}

Expr resize_back_at_run_time(Context& c) {
  if (c.attributes().s("keep_aspect_ratio_policy", "stretch") != "stretch") {
    Context::refuse("it keeps the aspect ratio of sizes that are known at run time only");
  }
  const std::vector<int64_t> axes = resized_axes(c);
  const Shape from = c.x().shape();
  const Shape to = c.y().shape();
  Expr gradient = c.gy();
  for (size_t k = axes.size(); k-- > 0;) {
    const auto d = static_cast<size_t>(axes[k]);
    if (from[d] == to[d]) continue;
    const Expr weights =
        run_time_weights(c, axes[k], static_cast<int64_t>(k), static_cast<int64_t>(axes.size()));
    gradient = pull_at_run_time(gradient, axes[k], weights);
  }
  return gradient;
}

void resize(Context& c) {
  const auto sizes = static_sizes(c);
  if (!sizes) return c.set(0, resize_back_at_run_time(c));
  const ResizeParams p = static_params(c, *sizes);
  Expr gradient = c.gy();
  for (auto it = p.axes.rbegin(); it != p.axes.rend(); ++it) gradient = pull_static(gradient, *it);
  c.set(0, gradient);
}

constexpr GradientDef kRules[] = {
    {"Resize", resize},
};

}  // namespace

std::span<const GradientDef> resize_gradients() { return kRules; }

}  // namespace treadle

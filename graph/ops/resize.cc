// Resize.
#include <cmath>
#include <limits>

#include "graph/ops/cast.h"
#include "graph/ops/families.h"
#include "graph/ops/iterate.h"
#include "graph/ops/op.h"
#include "graph/ops/resize_params.h"

namespace treadle {
namespace {

const Tensor* optional_input(const EvalContext& c, size_t i) {
  return c.has(i) ? &c.input(i) : nullptr;
}

void infer_resize(InferContext& c) {
  const bool by_scales = c.has(2) && (c.constant(2) == nullptr || c.constant(2)->count() > 0);
  c.set_shape(0, resize_shape(c.attributes(), c.shape(0), by_scales ? c.constant(2) : nullptr,
                              by_scales ? nullptr : c.values(3)));
}

// One pass: elements (outer, cell, inner) of `from` become those of the result, by f(to, from,
// inner, first tap).
template <class T, class F>
std::vector<T> pass(const std::vector<T>& from, Dims& dims, const ResizeAxis& axis, F&& f) {
  const AxisSplit split = split_axis(dims, axis.axis);
  std::vector<T> to(
      static_cast<size_t>(checked_mul(checked_mul(split.outer, axis.output), split.inner)));
  for (int64_t o = 0; o < split.outer; ++o) {
    for (int64_t i = 0; i < axis.output; ++i) {
      const T* source = from.data() + o * split.size * split.inner;
      f(to.data() + (o * axis.output + i) * split.inner, source, split.inner, i);
    }
  }
  dims[static_cast<size_t>(axis.axis)] = axis.output;
  return to;
}

bool is_outside(const ResizeAxis& axis, int64_t cell) {
  return !axis.outside.empty() && axis.outside[static_cast<size_t>(cell)];
}

// Copies cells: any element type.
template <class T>
void nearest(const Tensor& x, const ResizeParams& p, const T& extrapolated, Tensor& y) {
  std::vector<T> data(x.data<T>().begin(), x.data<T>().end());
  Dims dims = x.dims();
  for (const ResizeAxis& axis : p.axes) {
    data = pass(data, dims, axis, [&](T* to, const T* from, int64_t inner, int64_t cell) {
      if (is_outside(axis, cell)) {
        std::fill_n(to, inner, extrapolated);
      } else {
        std::copy_n(from + axis.cells[static_cast<size_t>(cell)] * inner, inner, to);
      }
    });
  }
  std::ranges::copy(data, y.data<T>().begin());
}

std::vector<double> interpolate(const Tensor& x, const ResizeParams& p, double extrapolated) {
  std::vector<double> data = x.to_doubles();
  Dims dims = x.dims();
  for (const ResizeAxis& axis : p.axes) {
    data = pass(data, dims, axis, [&](double* to, const double* from, int64_t inner, int64_t cell) {
      std::fill_n(to, inner, is_outside(axis, cell) ? extrapolated : 0);
      if (is_outside(axis, cell)) return;
      for (int64_t k = cell * axis.taps; k < (cell + 1) * axis.taps; ++k) {
        const double weight = axis.weights[static_cast<size_t>(k)];
        const double* tap = from + axis.cells[static_cast<size_t>(k)] * inner;
        for (int64_t i = 0; i < inner; ++i) to[i] += weight * tap[i];
      }
    });
  }
  return data;
}

// Integers are rounded, halves to even, and saturated.
template <class T>
T store(double value) {
  if constexpr (std::is_integral_v<T>) {
    if (std::isnan(value)) return 0;
    if (value <= static_cast<double>(std::numeric_limits<T>::min()))
      return std::numeric_limits<T>::min();
    if (value >= static_cast<double>(std::numeric_limits<T>::max()))
      return std::numeric_limits<T>::max();
    return static_cast<T>(std::nearbyint(value));
  } else {
    return T(static_cast<Compute<T>>(value));
  }
}

void eval_resize(EvalContext& c) {
  const Tensor& x = c.input(0);
  const ResizeParams p = resize_params(
      c.attributes(), x.dims(), {optional_input(c, 1), optional_input(c, 2), optional_input(c, 3)});
  Tensor& y = c.output(0, p.output);
  const auto extrapolated = static_cast<double>(c.attributes().f("extrapolation_value", 0));
  const bool copies = c.attributes().s("mode", "nearest") == "nearest";
  if (copies && x.dtype() == DType::kString) return nearest<std::string>(x, p, "", y);
  if (copies && x.dtype() == DType::kComplex64) return nearest<std::complex<float>>(x, p, {}, y);
  if (copies && x.dtype() == DType::kComplex128) return nearest<std::complex<double>>(x, p, {}, y);
  if (copies && x.dtype() == DType::kBool) {
    Tensor bytes(DType::kUint8, y.dims());
    nearest<uint8_t>(cast_tensor(x, DType::kUint8), p, extrapolated != 0, bytes);
    return copy_elements(cast_tensor(bytes, DType::kBool), y);
  }
  dispatch(x.dtype(), NumberTypes{}, [&]<class T>() {
    if (copies) return nearest<T>(x, p, store<T>(extrapolated), y);
    const std::vector<double> values = interpolate(x, p, extrapolated);
    for (size_t i = 0; i < values.size(); ++i) y.data<T>()[i] = store<T>(values[i]);
  });
}

constexpr OpDef kRows[] = {
    {.kind = "Resize",
     .inputs = "X:T1 roi?:T2 scales?:float sizes?:int64",
     .outputs = "Y:T1",
     .types = "T1=numbers,string,bool,complex64,complex128 T2=float16,float,double",
     .attributes =
         "antialias:i=0 axes:is coordinate_transformation_mode:s=half_pixel cubic_coeff_a:f=-0.75 "
         "exclude_outside:i=0 extrapolation_value:f=0 keep_aspect_ratio_policy:s=stretch "
         "mode:s=nearest "
         "nearest_mode:s=round_prefer_floor",
     .infer = infer_resize,
     .eval = eval_resize},
};

}  // namespace

std::span<const OpDef> resize_ops() { return kRows; }

}  // namespace treadle

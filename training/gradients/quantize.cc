// Quantization: DequantizeLinear is a product with its scale. QuantizeLinear's result is piecewise
// constant. The scale that DynamicQuantizeLinear computes follows the extremes.
#include "training/gradients/families.h"

namespace treadle {
namespace {

using Context = GradientContext;

// The scale or zero point of each element of x: one, one an index of the axis, or one a block.
Expr per_element(Context& c, const Expr& x, const Expr& of) {
  const Shape shape = of.shape();
  if (shape.empty()) return of;
  if (shape.size() == 1 && shape[0].is(1)) return scalar(of);
  const int64_t axis = c.axis_of(c.attributes().i("axis", 1));
  const int64_t block = c.attributes().i("block_size", 0);
  if (shape.size() == 1 && block <= 0) {
    std::vector<int64_t> trailing;
    for (int64_t d = axis + 1; d < x.rank(); ++d) trailing.push_back(d - axis);
    return unsqueeze(of, trailing);
  }
  const Expr numbers = range(size_of(x, axis));
  return of.op("Gather", {numbers / numbers.number(static_cast<double>(block))}, {{"axis", axis}});
}

std::vector<Expr> dequantize(Context& c) {
  const Expr x = c.x(0);
  const Expr scale = c.x(1);
  const auto asked = static_cast<DType>(c.attributes().i("output_dtype", 0));
  const DType dtype = asked != DType::kUndefined            ? asked
                      : scale.dtype() == DType::kFloat8E8M0 ? DType::kFloat
                                                            : scale.dtype();
  const DType wide = dtype == DType::kDouble ? DType::kDouble : DType::kFloat;
  Expr centred = cast(x, wide);
  if (c.has(2)) centred = centred - cast(per_element(c, x, c.x(2)), wide);
  return {cast(centred * cast(per_element(c, x, scale), wide), dtype)};
}

std::vector<Expr> dynamic_quantize(Context& c) {
  const Expr x = c.x(0);
  const Attributes all{{"keepdims", int64_t{0}}};
  const Expr zero = x.number(0);
  const Expr padded = concat({flat(x), c.constant(Tensor::of<float>({1}, {0}))}, 0);
  const Expr low = minimum(padded.op("ReduceMin", all), zero);
  const Expr high = maximum(padded.op("ReduceMax", all), zero);
  const Expr spread = (high - low) / 255;
  const Expr scale = where(equal(spread, 0), 1, spread);
  const Expr point = (-low / scale).op("Round").op("Clip", {zero, x.number(255)});
  const Expr zero_point = cast(point, DType::kUint8);
  return {x.op("QuantizeLinear", {scale, zero_point}), scale, zero_point};
}

constexpr GradientDef kRules[] = {
    {"QuantizeLinear"},
    {.kind = "DequantizeLinear", .parts = dequantize},
    {.kind = "DynamicQuantizeLinear", .parts = dynamic_quantize},
};

}  // namespace

std::span<const GradientDef> quantize_gradients() { return kRules; }

}  // namespace treadle

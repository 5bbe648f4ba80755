// Experimental operators of ai.onnx that ONNX has removed and old files still carry, as graphs of
// those that there are.
#include "graph/ops/composite.h"
#include "graph/ops/families.h"
#include "graph/ops/microsoft.h"

namespace treadle {
namespace {

using Values = std::vector<ValueId>;

// An attribute as a scalar of x's type.
ValueId number(Builder& b, const Node& n, const char* name, float fallback) {
  return b.scalar(b.type(n.input(0)).dtype, static_cast<double>(n.attributes.f(name, fallback)));
}

Values affine(Builder& b, const Node& n) {
  const ValueId scaled = b.op("Mul", {n.input(0), number(b, n, "alpha", 1)});
  return {b.op("Add", {scaled, number(b, n, "beta", 0)})};
}

Values scale(Builder& b, const Node& n) {
  return {b.op("Mul", {n.input(0), number(b, n, "scale", 1)})};
}

// alpha * f(beta * x)
Values scaled_function(Builder& b, const Node& n, const char* kind) {
  const ValueId y = b.op(kind, {b.op("Mul", {n.input(0), number(b, n, "beta", 1)})});
  return {b.op("Mul", {y, number(b, n, "alpha", 1)})};
}
Values parametric_softplus(Builder& b, const Node& n) { return scaled_function(b, n, "Softplus"); }
Values scaled_tanh(Builder& b, const Node& n) { return scaled_function(b, n, "Tanh"); }

Values image_scaler(Builder& b, const Node& n) {
  const std::vector<float> bias = n.attributes.floats("bias");
  const auto channels = static_cast<int64_t>(bias.size());
  const ValueId shift = b.constant(Tensor::of<float>({channels, 1, 1}, bias));
  return {b.op("Add", {scale(b, n)[0], cast(b, shift, b.type(n.input(0)).dtype)})};
}

// border: left, top, right, bottom; scale: height and width of what is left.
Values crop(Builder& b, const Node& n) {
  const std::vector<int64_t> border = n.attributes.ints("border");
  const std::vector<int64_t> size = n.attributes.ints("scale");
  const ValueId x = n.input(0);
  TREADLE_CHECK(border.size() >= 4 && (size.empty() || size.size() >= 2) && known_rank(b, x) == 4,
                kInvalidModel, "Crop needs an input of rank 4 and four borders, got ",
                b.type(x).text(), " and ", border.size());
  for (int64_t side : border) TREADLE_CHECK(side >= 0, kInvalidModel, "a border is ", side);
  const auto end = [&](size_t axis, int64_t start, int64_t back) {
    const int64_t used = checked_add(start, size.empty() ? back : size[axis]);
    const Dim& whole = (*b.type(x).shape)[axis + 2];
    TREADLE_CHECK(!whole.known() || used <= whole.value(), kInvalidModel, "Crop needs ", used,
                  " of ", b.type(x).text(), " along axis ", axis + 2);
    if (!size.empty()) return used;
    return back == 0 ? INT64_MAX : -back;
  };
  return {b.op("Slice", {x, b.ints({border[1], border[0]}),
                         b.ints({end(0, border[1], border[3]), end(1, border[0], border[2])}),
                         b.ints({2, 3})})};
}

// The values in the shape that an attribute, or an input (or the elements of it) has, with more
// dimensions behind it.
Values given_tensor_fill(Builder& b, const Node& n) {
  const std::vector<float> values = n.attributes.floats("values");
  const ValueId all = b.constant(Tensor::of<float>({static_cast<int64_t>(values.size())}, values));
  const ValueId input = n.input(0);
  if (!input.valid()) return {b.op("Reshape", {all, b.ints(n.attributes.ints("shape"))})};
  const ValueId dims = n.attributes.i("input_as_shape", 0) != 0 ? cast(b, input, DType::kInt64)
                                                                : b.op("Shape", {input});
  const ValueId extra = b.ints(n.attributes.ints("extra_shape"));
  return {b.op("Reshape", {all, b.op("Concat", {dims, extra}, {{"axis", int64_t{0}}})})};
}

Values dynamic_slice(Builder& b, const Node& n) { return {b.op("Slice", n.inputs)}; }

constexpr OpDef row(const char* kind, const char* inputs, const char* outputs,
                    const char* attributes, DecomposeFn decompose) {
  return {.kind = kind,
          .inputs = inputs,
          .outputs = outputs,
          .types = "T=floats S=numbers A=all Tind=int32,int64",
          .attributes = attributes,
          .infer = infer_composite,
          .decompose = decompose};
}

constexpr OpDef kRows[] = {
    row("Affine", "X:T", "Y:T", "alpha:f=1 beta:f=0", affine),
    row("Crop", "input:T", "output:T", "border:is! scale:is", crop),
    row("DynamicSlice", "data:A starts:Tind ends:Tind axes?:Tind", "output:A", "", dynamic_slice),
    row("GivenTensorFill", "shape?:S", "X:float",
        "extra_shape:is input_as_shape:i=0 shape:is values:fs", given_tensor_fill),
    row("ImageScaler", "input:T", "output:T", "bias:fs scale:f=1", image_scaler),
    row("ParametricSoftplus", "X:T", "Y:T", "alpha:f=1 beta:f=1", parametric_softplus),
    row("Scale", "input:T", "output:T", "scale:f=1", scale),
    row("ScaledTanh", "input:T", "output:T", "alpha:f=1 beta:f=1", scaled_tanh),
};

}  // namespace

std::span<const OpDef> removed_ops() { return kRows; }

}  // namespace treadle

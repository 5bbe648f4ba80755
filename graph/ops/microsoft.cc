// Operators of com.microsoft that onnxruntime's tools write, as graphs of standard ones: quantized
// arithmetic.
#include "graph/ops/microsoft.h"
#include "graph/ops/composite.h"
#include "graph/ops/families.h"

namespace treadle {
namespace {

using Values = std::vector<ValueId>;

// Inputs A, A_scale, A_zero_point, B, B_scale, B_zero_point, C_scale, C_zero_point.
Values binary(Builder& b, const Node& n, std::string_view kind) {
  const ValueId left = dequantized(b, n.input(0), n.input(1), n.input(2));
  const ValueId right = dequantized(b, n.input(3), n.input(4), n.input(5));
  const DType dtype = b.type(n.input(0)).dtype;
  return {quantized(b, b.op(kind, {left, right}), n.input(6), n.input(7), dtype)};
}
Values qlinear_add(Builder& b, const Node& n) { return binary(b, n, "Add"); }
Values qlinear_mul(Builder& b, const Node& n) { return binary(b, n, "Mul"); }

// Inputs X, X_scale, X_zero_point, Y_scale, Y_zero_point, `f` between.
template <class F>
Values unary(Builder& b, const Node& n, F&& f) {
  const ValueId x = dequantized(b, n.input(0), n.input(1), n.input(2));
  return {quantized(b, f(x), n.input(3), n.input(4), b.type(n.input(0)).dtype)};
}

Values qlinear_pool(Builder& b, const Node& n, std::string_view kind) {
  const auto pool = [&](ValueId x) { return b.op(kind, {x}, attributes_for(kind, n.attributes)); };
  const bool channels_last = n.attributes.i("channels_last", 0) != 0;
  return unary(b, n, [&](ValueId x) {
    return channels_last ? channels_to_last(b, pool(channels_to_second(b, x))) : pool(x);
  });
}
Values qlinear_average_pool(Builder& b, const Node& n) { return qlinear_pool(b, n, "AveragePool"); }
Values qlinear_global_average_pool(Builder& b, const Node& n) {
  return qlinear_pool(b, n, "GlobalAveragePool");
}

Values qlinear_leaky_relu(Builder& b, const Node& n) {
  return unary(b, n, [&](ValueId x) {
    return b.op("LeakyRelu", {x}, {{"alpha", n.attributes.f("alpha", 0.01F)}});
  });
}
Values qlinear_sigmoid(Builder& b, const Node& n) {
  return unary(b, n, [&](ValueId x) { return b.op("Sigmoid", {x}); });
}

// Before opset 13 Softmax normalized all dims from `axis` on as one.
Values qlinear_softmax(Builder& b, const Node& n) {
  return unary(b, n, [&](ValueId x) {
    if (n.attributes.i("opset", 13) >= 13)
      return b.op("Softmax", {x}, {{"axis", n.attributes.i("axis", -1)}});
    const ValueId rows = b.op("Flatten", {x}, {{"axis", n.attributes.i("axis", 1)}});
    return b.op("Reshape", {b.op("Softmax", {rows}, {{"axis", int64_t{-1}}}), b.op("Shape", {x})});
  });
}

Values qlinear_concat(Builder& b, const Node& n) {
  TREADLE_CHECK(n.inputs.size() % 3 == 2 && n.inputs.size() >= 5, kInvalidModel, n.inputs.size(),
                " inputs, expected Y_scale, Y_zero_point and three for each part");
  Values parts;
  for (size_t i = 2; i < n.inputs.size(); i += 3) {
    parts.push_back(dequantized(b, n.input(i), n.input(i + 1), n.input(i + 2)));
  }
  const ValueId whole = b.op("Concat", parts, {{"axis", n.attributes.i("axis", 0)}});
  return {b.op("QuantizeLinear", {whole, n.input(0), n.input(1)})};
}

Values dynamic_quantize_matmul(Builder& b, const Node& n) {
  const Values a = b.add("DynamicQuantizeLinear", {n.input(0)}, {}, 3);
  return {scaled_product(b, {a[0], n.input(1), a[1], n.input(2), a[2], n.input(3), n.input(4)})};
}
Values matmul_integer_to_float(Builder& b, const Node& n) {
  return {scaled_product(
      b, {n.input(0), n.input(1), n.input(2), n.input(3), n.input(4), n.input(5), n.input(6)})};
}

constexpr const char* kBytes = "T=uint8,int8";
constexpr const char* kBinaryInputs =
    "A:T A_scale:float A_zero_point?:T B:T B_scale:float B_zero_point?:T C_scale:float "
    "C_zero_point?:T";
constexpr const char* kUnaryInputs =
    "X:T X_scale:float X_zero_point?:T Y_scale:float Y_zero_point?:T";

constexpr OpDef row(const char* kind, const char* inputs, const char* attributes,
                    DecomposeFn decompose) {
  return {.kind = kind,
          .inputs = inputs,
          .outputs = "Y:T",
          .types = kBytes,
          .attributes = attributes,
          .infer = infer_composite,
          .decompose = decompose,
          .domain = "com.microsoft"};
}

constexpr OpDef kRows[] = {
    row("QLinearAdd", kBinaryInputs, "", qlinear_add),
    row("QLinearMul", kBinaryInputs, "", qlinear_mul),
    row("QLinearAveragePool", kUnaryInputs,
        "auto_pad:s=NOTSET ceil_mode:i=0 channels_last:i=0 count_include_pad:i=0 kernel_shape:is! "
        "pads:is strides:is",
        qlinear_average_pool),
    row("QLinearGlobalAveragePool", kUnaryInputs, "channels_last:i=0", qlinear_global_average_pool),
    row("QLinearLeakyRelu", kUnaryInputs, "alpha:f=0.01", qlinear_leaky_relu),
    row("QLinearSigmoid", kUnaryInputs, "", qlinear_sigmoid),
    {.kind = "QLinearSoftmax",
     .inputs = kUnaryInputs,
     .outputs = "Y:T",
     .types = kBytes,
     .attributes = "axis:i opset:i!",
     .infer = infer_same_shape,
     .decompose = qlinear_softmax,
     .domain = "com.microsoft"},
    {.kind = "QLinearConcat",
     .inputs = "Y_scale:float Y_zero_point:T inputs*:any",
     .outputs = "Y:T",
     .types = kBytes,
     .attributes = "axis:i!",
     .infer = infer_composite,
     .decompose = qlinear_concat,
     .domain = "com.microsoft"},
    {.kind = "DynamicQuantizeMatMul",
     .inputs = "A:float B:T b_scale:float b_zero_point?:T bias?:float",
     .outputs = "Y:float",
     .types = kBytes,
     .infer = infer_composite,
     .decompose = dynamic_quantize_matmul,
     .domain = "com.microsoft"},
    {.kind = "MatMulIntegerToFloat",
     .inputs = "A:T1 B:T2 a_scale:T3 b_scale:T3 a_zero_point?:T1 b_zero_point?:T2 bias?:T3",
     .outputs = "Y:T3",
     .types = "T1=int8,uint8 T2=int8,uint8 T3=float,float16",
     .infer = infer_composite,
     .decompose = matmul_integer_to_float,
     .domain = "com.microsoft"},
};

}  // namespace

std::span<const OpDef> microsoft_ops() { return kRows; }

}  // namespace treadle

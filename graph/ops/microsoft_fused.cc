// Operators of com.microsoft that onnxruntime's optimizer makes of an operator and its neighbours,
// as graphs of standard ones: products with activations, kinds of Gelu.
#include <algorithm>

#include "graph/ops/composite.h"
#include "graph/ops/families.h"
#include "graph/ops/microsoft.h"

namespace treadle {
namespace {

using Values = std::vector<ValueId>;

// ---- FusedConv, FusedGemm

ValueId activate_conv(Builder& b, const Node& n, ValueId x) {
  const std::string kind = n.attributes.s("activation", "");
  const std::vector<float> params = n.attributes.floats("activation_params");
  const size_t wanted = kind == "LeakyRelu" ? 1 : kind == "Clip" || kind == "HardSigmoid" ? 2 : 0;
  TREADLE_CHECK(params.size() >= wanted, kInvalidModel, "activation ", kind, " needs ", wanted,
                " activation_params, got ", params.size());
  if (kind.empty()) return x;
  if (kind == "Silu") return b.op("Swish", {x});
  if (kind == "LeakyRelu") return b.op(kind, {x}, {{"alpha", params[0]}});
  if (kind == "HardSigmoid") return b.op(kind, {x}, {{"alpha", params[0]}, {"beta", params[1]}});
  if (kind == "Clip") {
    const DType dtype = b.type(x).dtype;
    return b.op("Clip", {x, b.scalar(dtype, static_cast<double>(params[0])),
                         b.scalar(dtype, static_cast<double>(params[1]))});
  }
  TREADLE_CHECK(kind == "Relu" || kind == "Tanh" || kind == "Sigmoid" || kind == "HardSwish",
                kUnsupported, "activation '", kind, "'");
  return b.op(kind, {x});
}

Values fused_conv(Builder& b, const Node& n) {
  ValueId y =
      b.op("Conv", {n.input(0), n.input(1), n.input(2)}, attributes_for("Conv", n.attributes));
  if (n.input(3).valid()) y = b.op("Add", {y, n.input(3)});
  return {activate_conv(b, n, y)};
}

// Any elementwise operator may follow; its attributes are called activation_<name>.
Values fused_gemm(Builder& b, const Node& n) {
  const ValueId y =
      b.op("Gemm", {n.input(0), n.input(1), n.input(2)}, attributes_for("Gemm", n.attributes));
  const std::string kind = n.attributes.s("activation", "");
  if (kind.empty()) return {y};
  const Op* op = find_op(kind);
  TREADLE_CHECK(op != nullptr && op->has(kElementwise) && op->inputs.size() == 1, kUnsupported,
                "activation '", kind, "'");
  Attributes own;
  for (const char* name : {"alpha", "beta", "gamma"}) {
    const Attribute* given = n.attributes.find(std::string("activation_") + name);
    if (given != nullptr && op->attribute(name) != nullptr) own.set(name, *given);
  }
  return {b.op(kind, {y}, own)};
}

// ---- FusedMatMul

// A batch that lies between rows and columns is brought to the front, then the matrices are
// transposed.
ValueId arranged(Builder& b, ValueId x, bool batch, bool transposed) {
  const size_t rank = known_rank(b, x);
  if (rank < 2 || !(batch || transposed)) return x;
  std::vector<int64_t> perm;
  for (size_t i = 0; i < rank; ++i) perm.push_back(static_cast<int64_t>(i));
  if (batch) std::rotate(perm.begin(), perm.begin() + 1, perm.end() - 1);
  if (transposed) std::swap(perm[rank - 1], perm[rank - 2]);
  return b.op("Transpose", {x}, {{"perm", perm}});
}

Values fused_matmul(Builder& b, const Node& n) {
  const Attributes& a = n.attributes;
  const auto is_set = [&](const char* name) { return a.i(name, 0) != 0; };
  const ValueId y =
      b.op("MatMul", {arranged(b, n.input(0), is_set("transBatchA"), is_set("transA")),
                      arranged(b, n.input(1), is_set("transBatchB"), is_set("transB"))});
  const float alpha = a.f("alpha", 1);
  if (alpha == 1) return {y};
  return {b.op("Mul", {y, b.scalar(b.type(y).dtype, static_cast<double>(alpha))})};
}

// ---- Kinds of Gelu

Values gelu(Builder& b, const Node& n) { return {b.op("Gelu", {n.input(0)})}; }
Values bias_gelu(Builder& b, const Node& n) {
  return {b.op("Gelu", {b.op("Add", {n.input(0), n.input(1)})})};
}
Values fast_gelu(Builder& b, const Node& n) {
  const ValueId bias = n.input(1);
  const ValueId x = bias.valid() ? b.op("Add", {n.input(0), bias}) : n.input(0);
  return {b.op("Gelu", {x}, {{"approximate", "tanh"}})};
}
Values quick_gelu(Builder& b, const Node& n) {
  return {b.op("Swish", {n.input(0)}, {{"alpha", n.attributes.f("alpha", 1.702F)}})};
}

constexpr const char* kProductAttributes =
    "alpha:f=1 transA:i=0 transB:i=0 transBatchA:i=0 transBatchB:i=0";

constexpr OpDef row(const char* kind, const char* inputs, const char* attributes, InferFn infer,
                    DecomposeFn decompose) {
  return {.kind = kind,
          .inputs = inputs,
          .outputs = "Y:T",
          .types = "T=floats",
          .attributes = attributes,
          .infer = infer,
          .decompose = decompose,
          .domain = "com.microsoft"};
}

constexpr OpDef kRows[] = {
    row("FusedConv", "X:T W:T B?:T Z?:T",
        "activation:s activation_params:fs auto_pad:s=NOTSET dilations:is group:i=1 "
        "kernel_shape:is pads:is strides:is",
        infer_composite, fused_conv),
    row("FusedGemm", "A:T B:T C?:T",
        "activation:s activation_alpha:f activation_beta:f activation_gamma:f alpha:f=1 beta:f=1 "
        "transA:i=0 transB:i=0",
        infer_composite, fused_gemm),
    row("FusedMatMul", "A:T B:T", kProductAttributes, infer_composite, fused_matmul),
    row("TransposeMatMul", "A:T B:T", kProductAttributes, infer_composite, fused_matmul),
    row("Gelu", "X:T", "", infer_same_shape, gelu),
    row("BiasGelu", "A:T B:T", "", infer_same_shape, bias_gelu),
    row("FastGelu", "X:T bias?:T", "", infer_same_shape, fast_gelu),
    row("QuickGelu", "X:T", "alpha:f=1.702", infer_same_shape, quick_gelu),
};

}  // namespace

std::span<const OpDef> microsoft_fused_ops() { return kRows; }

}  // namespace treadle

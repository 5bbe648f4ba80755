// The operators of domain treadle that the optimizer makes: a product with its epilogue, quantized
// products, and elementwise regions.
//
// The epilogue of FusedConv, FusedGemm and FusedMatMul is Y = activation(product + bias + Z), Z of
// Y's shape. `activation` is "", or a name of kActivations; its parameters are activation_alpha and
// activation_beta, always explicit: of Clip the bounds, otherwise ONNX's alpha and beta.
#include <algorithm>
#include <array>

#include "graph/builder.h"
#include "graph/ops/composite.h"
#include "graph/ops/expanded_depthwise.h"
#include "graph/ops/expect.h"
#include "graph/ops/families.h"
#include "graph/ops/matmul_params.h"
#include "graph/ops/op.h"
#include "graph/ops/quantized_inputs.h"

namespace treadle {
namespace {

constexpr std::array<std::string_view, 12> kActivations = {
    "",          "Relu",  "LeakyRelu", "Clip",     "Sigmoid", "Tanh", "HardSigmoid",
    "HardSwish", "Swish", "Gelu",      "GeluTanh", "Elu"};

void check_activation(const Attributes& a) {
  const std::string kind = a.s("activation", "");
  TREADLE_CHECK(std::ranges::find(kActivations, kind) != kActivations.end(), kInvalidModel,
                "unknown activation '", kind, "'");
}

ValueId activate(Builder& b, const Attributes& a, ValueId x) {
  check_activation(a);
  const std::string kind = a.s("activation", "");
  const float alpha = a.f("activation_alpha", 0);
  const float beta = a.f("activation_beta", 0);
  if (kind.empty()) return x;
  if (kind == "Clip") {
    const DType dtype = b.type(x).dtype;
    return b.op("Clip", {x, b.scalar(dtype, static_cast<double>(alpha)),
                         b.scalar(dtype, static_cast<double>(beta))});
  }
  if (kind == "GeluTanh") return b.op("Gelu", {x}, {{"approximate", "tanh"}});
  if (kind == "HardSigmoid") return b.op(kind, {x}, {{"alpha", alpha}, {"beta", beta}});
  const bool takes_alpha = kind == "LeakyRelu" || kind == "Swish" || kind == "Elu";
  return b.op(kind, {x}, takes_alpha ? Attributes{{"alpha", alpha}} : Attributes{});
}

ValueId add_present(Builder& b, ValueId x, ValueId addend) {
  return addend.valid() ? b.op("Add", {x, addend}) : x;
}

// ---- FusedConv, FusedGemm: the plain operator, then the epilogue

void infer_fused_conv(InferContext& c) {
  check_activation(c.attributes());
  find_op("Conv")->infer(c);
  expect_broadcast_to(c, 3, *c.outputs()[0].type.shape);
}
void infer_fused_gemm(InferContext& c) {
  check_activation(c.attributes());
  find_op("Gemm")->infer(c);
  expect_broadcast_to(c, 3, *c.outputs()[0].type.shape);
}

std::vector<ValueId> decompose_product(Builder& b, const Node& node, std::string_view kind) {
  std::vector<ValueId> inputs = {node.input(0), node.input(1)};
  if (node.input(2).valid()) inputs.push_back(node.input(2));
  const ValueId product = b.op(kind, inputs, attributes_for(kind, node.attributes));
  return {activate(b, node.attributes, add_present(b, product, node.input(3)))};
}
std::vector<ValueId> decompose_fused_conv(Builder& b, const Node& node) {
  return decompose_product(b, node, "Conv");
}
std::vector<ValueId> decompose_fused_gemm(Builder& b, const Node& node) {
  return decompose_product(b, node, "Gemm");
}

// ---- ExpandedDepthwise: a FusedConv of W on one of E, which has windows of one pixel

constexpr std::array<const char*, 3> kActivationNames = {"activation", "activation_alpha",
                                                         "activation_beta"};
std::string of_expansion(const char* name) { return cat("expand_", name); }

std::vector<ValueId> decompose_expanded_depthwise(Builder& b, const Node& node) {
  const Attributes of_e = expansion_attributes(node.attributes);
  const Attributes of_w = depthwise_attributes(node.attributes);
  std::vector<ValueId> e = {node.input(0), node.input(1)};
  if (node.input(2).valid()) e.push_back(node.input(2));
  std::vector<ValueId> w = {b.op("FusedConv", e, of_e, "treadle"), node.input(3)};
  if (node.input(4).valid()) w.push_back(node.input(4));
  return {b.op("FusedConv", w, of_w, "treadle")};
}

// ---- FusedMatMul: activation(alpha * A' B' + bias + Z), ' = transposed by the attributes

Shape transposed(Shape shape, bool wanted) {
  if (wanted && shape.size() >= 2) std::swap(shape[shape.size() - 1], shape[shape.size() - 2]);
  return shape;
}

void infer_fused_matmul(InferContext& c) {
  check_activation(c.attributes());
  const Shape shape = matmul_shape(transposed(c.shape(0), c.attributes().i("transA", 0) != 0),
                                   transposed(c.shape(1), c.attributes().i("transB", 0) != 0));
  c.set_shape(0, shape);
  for (const size_t i : {2, 3}) expect_broadcast_to(c, i, shape);
}

ValueId transpose_last(Builder& b, ValueId x, bool wanted) {
  if (!wanted) return x;
  const Type& type = b.type(x);
  TREADLE_CHECK(type.shape.has_value(), kUnsupported,
                "cannot expand a transposed FusedMatMul of unknown rank");
  std::vector<int64_t> perm(type.shape->size());
  for (size_t i = 0; i < perm.size(); ++i) perm[i] = static_cast<int64_t>(i);
  if (perm.size() < 2) return x;
  std::swap(perm[perm.size() - 1], perm[perm.size() - 2]);
  return b.op("Transpose", {x}, {{"perm", perm}});
}

std::vector<ValueId> decompose_fused_matmul(Builder& b, const Node& node) {
  const Attributes& a = node.attributes;
  ValueId y = b.op("MatMul", {transpose_last(b, node.input(0), a.i("transA", 0) != 0),
                              transpose_last(b, node.input(1), a.i("transB", 0) != 0)});
  const float alpha = a.f("alpha", 1);
  if (alpha != 1)
    y = b.op("Mul", {y, b.scalar(b.type(node.input(0)).dtype, static_cast<double>(alpha))});
  y = add_present(b, add_present(b, y, node.input(2)), node.input(3));
  return {activate(b, a, y)};
}

// ---- GemmUpdate: on ? W - rate * alpha * A' B' : W

void infer_gemm_update(InferContext& c) {
  c.set_shape(0, c.shape(0));
  for (size_t i : {1, 2}) {
    TREADLE_CHECK(c.rank(i) == 2, kInvalidModel, "expected a matrix, got ", shape_text(c.shape(i)));
  }
}

std::vector<ValueId> decompose_gemm_update(Builder& b, const Node& node) {
  const ValueId w = node.input(0);
  const ValueId product = b.op("Gemm", {node.input(1), node.input(2)}, node.attributes);
  const ValueId next = b.op("Sub", {w, b.op("Mul", {node.input(3), product})});
  if (!node.input(4).valid()) return {next};
  return {b.op("Where", {node.input(4), next, w})};
}

// ---- FusedElementwise: a body of elementwise operators

void infer_fused_elementwise(InferContext& c) {
  std::vector<Known> formals(c.input_count());
  for (size_t i = 0; i < formals.size(); ++i) {
    formals[i].type = c.type(i);
    if (const Tensor* constant = c.constant(i)) formals[i].constant = *constant;
  }
  std::vector<Known> results = c.infer_body(0, std::move(formals));
  for (size_t i = 0; i < results.size(); ++i) c.set_type(i, std::move(results[i].type));
}

void eval_fused_elementwise(EvalContext& c) {
  std::vector<Value> formals;
  for (size_t i = 0; i < c.input_count(); ++i) formals.push_back(c.value(i));
  const std::vector<Value> results = c.run_body(0, std::move(formals));
  for (size_t i = 0; i < results.size(); ++i) {
    const Tensor& y = results[i].tensor();
    copy_elements(y, c.output(i, y.dtype(), y.dims()));
  }
}

std::vector<ValueId> decompose_fused_elementwise(Builder& b, const Node& node) {
  const Subgraph& body = node.subgraphs[0];
  std::vector<ValueId> inputs = node.inputs;
  inputs.insert(inputs.end(), body.captures.begin(), body.captures.end());
  return inline_graph(b.graph(), *body.graph, inputs, node.name + "/");
}

// ---- QuantizedConv, QuantizedMatMul: DequantizeLinear of both operands, the product, its bias, of
// QuantizedMatMul an activation, and QuantizeLinear where there is a y_scale. Weights are int8
// around zero, with one scale for all or one for each output channel. With Z, the sum of what Y and
// Z stand for is quantized again.

using namespace quantized;

void set_result_dtype(InferContext& c) {
  const size_t zero = c.has(kZ) ? kSumZero : kYZero;
  const DType quantized = c.has(zero) ? c.dtype(zero) : DType::kUint8;
  c.set_dtype(0, c.has(kYScale) ? quantized : DType::kFloat);
}

ValueId dequantized(Builder& b, ValueId x, ValueId scale, ValueId zero, int64_t axis) {
  std::vector<ValueId> inputs = {x, scale};
  if (zero.valid()) inputs.push_back(zero);
  return b.op("DequantizeLinear", inputs, {{"axis", axis}});
}

ValueId quantized(Builder& b, ValueId y, ValueId scale, ValueId zero) {
  if (!scale.valid()) return y;
  std::vector<ValueId> inputs = {y, scale};
  if (zero.valid()) inputs.push_back(zero);
  return b.op("QuantizeLinear", inputs);
}

ValueId quantized(Builder& b, const Node& node, ValueId y) {
  return quantized(b, y, node.input(kYScale), node.input(kYZero));
}

ValueId data(Builder& b, const Node& node) {
  return dequantized(b, node.input(0), node.input(kXScale), node.input(kXZero), 1);
}

void check_sum(bool scaled) {
  TREADLE_CHECK(scaled, kInvalidModel, "Z needs y_scale, z_scale and sum_scale");
}

void infer_quantized_conv(InferContext& c) {
  set_result_dtype(c);
  find_op("Conv")->infer(c);
  if (!c.has(kZ)) return;
  check_sum(c.has(kYScale) && c.has(kZScale) && c.has(kSumScale));
  const auto& y = c.outputs()[0].type.shape;
  if (y) expect_broadcast_to(c, kZ, *y);
}

std::vector<ValueId> decompose_quantized_conv(Builder& b, const Node& node) {
  std::vector<ValueId> inputs = {data(b, node),
                                 dequantized(b, node.input(1), node.input(kWScale), {}, 0)};
  if (node.input(kB).valid()) inputs.push_back(node.input(kB));
  const ValueId y =
      quantized(b, node, b.op("Conv", inputs, attributes_for("Conv", node.attributes)));
  if (!node.input(kZ).valid()) return {y};
  check_sum(node.input(kYScale).valid() && node.input(kZScale).valid() &&
            node.input(kSumScale).valid());
  const ValueId sum =
      b.op("Add", {dequantized(b, y, node.input(kYScale), node.input(kYZero), 1),
                   dequantized(b, node.input(kZ), node.input(kZScale), node.input(kZZero), 1)});
  return {quantized(b, sum, node.input(kSumScale), node.input(kSumZero))};
}

bool transposes(const Attributes& attributes) { return attributes.i("transB", 0) != 0; }

void check_matrix(const Shape& weights) {
  TREADLE_CHECK(weights.size() == 2, kInvalidModel, "expected a matrix of weights, got ",
                shape_text(weights));
}

void infer_quantized_matmul(InferContext& c) {
  check_activation(c.attributes());
  set_result_dtype(c);
  Shape weights = c.shape(1);
  check_matrix(weights);
  if (transposes(c.attributes())) std::swap(weights[0], weights[1]);
  c.set_shape(0, matmul_shape(c.shape(0), weights));
}

std::vector<ValueId> decompose_quantized_matmul(Builder& b, const Node& node) {
  if (const auto& shape = b.type(node.input(1)).shape) check_matrix(*shape);
  const bool turned = transposes(node.attributes);
  ValueId w = dequantized(b, node.input(1), node.input(kWScale), {}, turned ? 0 : 1);
  if (turned) w = b.op("Transpose", {w}, {{"perm", std::vector<int64_t>{1, 0}}});
  ValueId y = b.op("MatMul", {data(b, node), w});
  if (node.input(kB).valid()) y = b.op("Add", {y, node.input(kB)});
  return {quantized(b, node, activate(b, node.attributes, y))};
}

constexpr const char* kByteTypes = "T1=int8,uint8 T2=int8,uint8";

constexpr OpDef kRows[] = {
    {.kind = "FusedConv",
     .inputs = "X:T W:T B?:T Z?:T",
     .outputs = "Y:T",
     .types = "T=floats",
     .attributes =
         "auto_pad:s=NOTSET dilations:is group:i=1 kernel_shape:is pads:is strides:is activation:s "
         "activation_alpha:f=0 activation_beta:f=0",
     .infer = infer_fused_conv,
     .decompose = decompose_fused_conv,
     .domain = "treadle"},
    {.kind = "ExpandedDepthwise",
     .inputs = "X:T E:T E_bias?:T W:T B?:T",
     .outputs = "Y:T",
     .types = "T=floats",
     .attributes =
         "auto_pad:s=NOTSET dilations:is group:i=1 kernel_shape:is pads:is strides:is activation:s "
         "activation_alpha:f=0 activation_beta:f=0 expand_activation:s expand_activation_alpha:f=0 "
         "expand_activation_beta:f=0",
     .infer = infer_composite,
     .decompose = decompose_expanded_depthwise,
     .domain = "treadle"},
    {.kind = "FusedGemm",
     .inputs = "A:T B:T C?:T Z?:T",
     .outputs = "Y:T",
     .types = "T=floats",
     .attributes = "alpha:f=1 beta:f=1 transA:i=0 transB:i=0 activation:s activation_alpha:f=0 "
                   "activation_beta:f=0",
     .infer = infer_fused_gemm,
     .decompose = decompose_fused_gemm,
     .domain = "treadle"},
    {.kind = "FusedMatMul",
     .inputs = "A:T B:T bias?:T Z?:T",
     .outputs = "Y:T",
     .types = "T=floats",
     .attributes =
         "alpha:f=1 transA:i=0 transB:i=0 activation:s activation_alpha:f=0 activation_beta:f=0",
     .infer = infer_fused_matmul,
     .decompose = decompose_fused_matmul,
     .domain = "treadle"},
    {.kind = "GemmUpdate",
     .inputs = "W:T A:T B:T rate:T on?:bool",
     .outputs = "Y:T",
     .types = "T=floats",
     .attributes = "transA:i=0 transB:i=0 alpha:f=1",
     .infer = infer_gemm_update,
     .decompose = decompose_gemm_update,
     .domain = "treadle"},
    {.kind = "FusedElementwise",
     .inputs = "X*:any",
     .outputs = "Y*:any",
     .attributes = "body:g!",
     .infer = infer_fused_elementwise,
     .eval = eval_fused_elementwise,
     .decompose = decompose_fused_elementwise,
     .traits = kElementwise,
     .domain = "treadle"},
    {.kind = "QuantizedConv",
     .inputs = "X:T1 W:int8 B?:float x_scale:float w_scale:float x_zero_point?:T1 y_scale?:float "
               "y_zero_point?:T2 Z?:T3 z_scale?:float z_zero_point?:T3 sum_scale?:float "
               "sum_zero_point?:T3",
     .outputs = "Y:any",
     .types = "T1=int8,uint8 T2=int8,uint8 T3=int8,uint8",
     .attributes = "auto_pad:s=NOTSET dilations:is group:i=1 kernel_shape:is pads:is strides:is",
     .infer = infer_quantized_conv,
     .decompose = decompose_quantized_conv,
     .domain = "treadle"},
    {.kind = "QuantizedMatMul",
     .inputs = "A:T1 B:int8 bias?:float a_scale:float b_scale:float a_zero_point?:T1 "
               "y_scale?:float y_zero_point?:T2",
     .outputs = "Y:any",
     .types = kByteTypes,
     .attributes = "transB:i=0 activation:s activation_alpha:f=0 activation_beta:f=0",
     .infer = infer_quantized_matmul,
     .decompose = decompose_quantized_matmul,
     .domain = "treadle"},
};

}  // namespace

std::span<const OpDef> fused_ops() { return kRows; }

Attributes expanded_attributes(const Attributes& expansion, Attributes depthwise) {
  for (const char* name : kActivationNames) {
    if (const Attribute* value = expansion.find(name)) depthwise.set(of_expansion(name), *value);
  }
  return depthwise;
}

Attributes expansion_attributes(const Attributes& both) {
  Attributes expansion;
  for (const char* name : kActivationNames) {
    if (const Attribute* value = both.find(of_expansion(name))) expansion.set(name, *value);
  }
  return expansion;
}

Attributes depthwise_attributes(Attributes both) {
  for (const char* name : kActivationNames) both.erase(of_expansion(name));
  return both;
}

}  // namespace treadle

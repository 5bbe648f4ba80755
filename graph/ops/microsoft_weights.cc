// Operators of com.microsoft on quantized tensors and weights that are not elementwise:
// MatMulNBits, GatherBlockQuantized, QGemm, QLinearWhere, QLinearReduceMean, QLinearConv,
// NhwcMaxPool, QuantizeLinear and DequantizeLinear, as graphs of standard ones.
#include <algorithm>

#include "graph/ops/composite.h"
#include "graph/ops/conv_params.h"
#include "graph/ops/families.h"
#include "graph/ops/microsoft.h"

namespace treadle {
namespace {

using Values = std::vector<ValueId>;

// ---- MatMulNBits

struct Blocks {
  int64_t bits, n, k, size, count;
};

Blocks blocks_of(const Attributes& a) {
  Blocks w{a.i("bits", 4), a.i("N", 0), a.i("K", 0), a.i("block_size", 0), 0};
  TREADLE_CHECK(w.bits == 2 || w.bits == 4 || w.bits == 8, kUnsupported, "weights of ", w.bits,
                " bits");
  TREADLE_CHECK(w.n > 0 && w.k > 0 && w.size > 0 && w.size % 8 == 0, kInvalidModel, "N is ", w.n,
                ", K ", w.k, ", block_size ", w.size);
  w.count = ceil_div(w.k, w.size);
  checked_mul(checked_mul(w.n, w.count), w.size);
  return w;
}

ValueId reshaped(Builder& b, ValueId x, const std::vector<int64_t>& shape) {
  return b.op("Reshape", {x, b.ints(shape)});
}

ValueId first_columns(Builder& b, ValueId x, int64_t columns) {
  return b.op("Slice", {x, b.ints({0}), b.ints({columns}), b.ints({1})});
}

// The numbers of `bits` bits packed in bytes along the last axis, first in the low bits.
ValueId unpacked(Builder& b, ValueId bytes, int64_t bits) {
  const int64_t each = 8 / bits;
  if (each == 1) return bytes;
  std::vector<uint8_t> shifts;
  for (int64_t i = 0; i < each; ++i) shifts.push_back(static_cast<uint8_t>(i * bits));
  const ValueId shift = b.constant(Tensor::of<uint8_t>({each}, shifts));
  const ValueId shifted =
      b.op("BitShift", {b.op("Unsqueeze", {bytes, b.ints({-1})}), shift}, {{"direction", "RIGHT"}});
  const ValueId mask = b.scalar(DType::kUint8, static_cast<double>((1 << bits) - 1));
  std::vector<int64_t> shape(known_rank(b, bytes), 0);
  shape.back() = -1;
  return reshaped(b, b.op("BitwiseAnd", {shifted, mask}), shape);
}

// A zero point for each block, [N, blocks], or one for all.
ValueId zero_of_blocks(Builder& b, ValueId given, const Blocks& w, DType dtype) {
  if (!given.valid()) return b.scalar(dtype, static_cast<double>(1 << (w.bits - 1)));
  const bool packed = b.type(given).dtype == DType::kUint8;
  const ValueId each =
      packed ? first_columns(b, unpacked(b, reshaped(b, given, {w.n, -1}), w.bits), w.count)
             : reshaped(b, given, {w.n, w.count});
  return cast(b, each, dtype);
}

// (code - zero) * scale, [N, K]. Nothing is spread over the columns but by broadcasting, so that
// folding the weights stays within bounds.
ValueId dequantized_weights(Builder& b, const Node& n, const Blocks& w) {
  const DType dtype = b.type(n.input(0)).dtype;
  ValueId codes = unpacked(b, reshaped(b, n.input(1), {w.n, -1}), w.bits);
  ValueId scale = reshaped(b, n.input(2), {w.n, w.count});
  ValueId zero = zero_of_blocks(b, n.input(3), w, dtype);
  const ValueId block_of_column = n.input(4);
  const auto per_column = [&](ValueId table) {
    if (block_of_column.valid())
      return b.op("Gather", {table, block_of_column}, {{"axis", int64_t{1}}});
    return reshaped(b, table, {w.n, w.count, 1});
  };
  codes = block_of_column.valid() ? first_columns(b, codes, w.k)
                                  : reshaped(b, codes, {w.n, w.count, w.size});
  if (n.input(3).valid()) zero = per_column(zero);
  ValueId y = b.op("Sub", {cast(b, codes, dtype), zero});
  y = reshaped(b, b.op("Mul", {y, per_column(scale)}), {w.n, -1});
  return first_columns(b, y, w.k);
}

Values matmul_nbits(Builder& b, const Node& n) {
  const Blocks w = blocks_of(n.attributes);
  TREADLE_CHECK(n.attributes.i("weight_prepacked", 0) == 0, kUnsupported,
                "weights packed for one device");
  const ValueId y = b.op("MatMul", {n.input(0), b.op("Transpose", {dequantized_weights(b, n, w)})});
  return {n.input(5).valid() ? b.op("Add", {y, n.input(5)}) : y};
}

void infer_matmul_nbits(InferContext& c) {
  const Blocks w = blocks_of(c.attributes());
  Shape shape = c.shape(0);
  TREADLE_CHECK(!shape.empty() && (!shape.back().known() || shape.back().is(w.k)), kInvalidModel,
                "A has shape ", shape_text(shape), ", expected ", w.k, " columns");
  shape.back() = w.n;
  c.set_shape(0, shape);
}

// ---- GatherBlockQuantized

struct GatherAxes {
  int64_t gather, quantized;
};

GatherAxes gather_axes(const Attributes& a, int64_t rank) {
  const GatherAxes axes{resolve_axis(a.i("gather_axis", 0), rank),
                        resolve_axis(a.i("quantize_axis", 1), rank)};
  TREADLE_CHECK(axes.gather != axes.quantized, kUnsupported,
                "gather_axis and quantize_axis are both ", axes.gather);
  const int64_t bits = a.i("bits", 4);
  TREADLE_CHECK(bits == 2 || bits == 4 || bits == 8, kUnsupported, "elements of ", bits, " bits");
  return axes;
}

// Rows of the codes, scales and zero points are gathered, then put together. Bytes hold several
// numbers, around the middle of their range where no zero point is given.
Values gather_blocks(Builder& b, const Node& n) {
  const Attributes& a = n.attributes;
  const GatherAxes axes = gather_axes(a, static_cast<int64_t>(known_rank(b, n.input(0))));
  const auto picked = [&](size_t input) {
    if (!n.input(input).valid()) return ValueId{};
    return b.op("Gather", {n.input(input), n.input(1)}, {{"axis", axes.gather}});
  };
  ValueId codes = picked(0);
  const ValueId scale = picked(2);
  ValueId zero = picked(3);
  if (b.type(codes).dtype == DType::kUint8) {
    const int64_t bits = a.i("bits", 4);
    codes = unpacked(b, codes, bits);
    if (zero.valid()) {
      zero = b.op("Slice",
                  {unpacked(b, zero, bits), b.ints({0}), size_of(b, scale, -1), b.ints({-1})});
    } else {
      const ValueId middle = b.scalar(DType::kInt32, static_cast<double>(1 << (bits - 1)));
      codes = b.op("Sub", {cast(b, codes, DType::kInt32), middle});
    }
  }
  const auto added = static_cast<int64_t>(known_rank(b, n.input(1))) - 1;
  const int64_t axis = axes.quantized + (axes.quantized > axes.gather ? added : 0);
  return {b.op("DequantizeLinear", zero.valid() ? Values{codes, scale, zero} : Values{codes, scale},
               {{"axis", axis}, {"block_size", a.i("block_size", 128)}})};
}

void infer_gather_blocks(InferContext& c) {
  const GatherAxes axes = gather_axes(c.attributes(), c.rank(0));
  Shape data = c.shape(0);
  if (c.dtype(0) == DType::kUint8) data.back() = data.back() * (8 / c.attributes().i("bits", 4));
  Shape shape(data.begin(), data.begin() + axes.gather);
  shape.insert(shape.end(), c.shape(1).begin(), c.shape(1).end());
  shape.insert(shape.end(), data.begin() + axes.gather + 1, data.end());
  c.set_shape(0, shape);
}

// ---- QGemm

ValueId transposed_if(Builder& b, ValueId x, bool wanted) {
  return wanted ? b.op("Transpose", {x}) : x;
}

Values quantized_gemm(Builder& b, const Node& n) {
  const Attributes& a = n.attributes;
  ValueId sums = b.op("MatMulInteger", {transposed_if(b, n.input(0), a.i("transA", 0) != 0),
                                        transposed_if(b, n.input(3), a.i("transB", 0) != 0),
                                        n.input(2), n.input(5)});
  if (n.input(6).valid()) sums = b.op("Add", {sums, n.input(6)});
  const ValueId alpha = b.scalar(DType::kFloat, static_cast<double>(a.f("alpha", 1)));
  const ValueId scale = b.op("Mul", {b.op("Mul", {n.input(1), n.input(4)}), alpha});
  const ValueId y = b.op("Mul", {cast(b, sums, DType::kFloat), scale});
  if (!n.input(7).valid()) return {y};
  return {quantized(b, y, n.input(7), n.input(8), b.type(n.input(0)).dtype)};
}

void infer_quantized_gemm(InferContext& c) {
  c.set_dtype(0, !c.has(7) ? DType::kFloat : c.dtype(c.has(8) ? 8 : 0));
  infer_composite(c);
}

// ---- The rest

Values quantized_where(Builder& b, const Node& n) {
  const ValueId x = dequantized(b, n.input(1), n.input(2), n.input(3));
  const ValueId y = dequantized(b, n.input(4), n.input(5), n.input(6));
  const ValueId chosen = b.op("Where", {n.input(0), x, y});
  return {quantized(b, chosen, n.input(7), n.input(8), b.type(n.input(1)).dtype)};
}

Values quantized_mean(Builder& b, const Node& n) {
  const ValueId x = dequantized(b, n.input(0), n.input(1), n.input(2));
  const ValueId mean = b.op("ReduceMean", {x, b.ints(n.attributes.ints("axes"))},
                            {{"keepdims", n.attributes.i("keepdims", 1)}});
  return {quantized(b, mean, n.input(3), n.input(4), b.type(n.input(0)).dtype)};
}

Values quantized_conv(Builder& b, const Node& n) {
  const bool channels_last = n.attributes.i("channels_last", 0) != 0;
  Values inputs = n.inputs;
  if (channels_last) inputs[0] = channels_to_second(b, inputs[0]);
  const ValueId y = b.op("QLinearConv", inputs, attributes_for("QLinearConv", n.attributes));
  return {channels_last ? channels_to_last(b, y) : y};
}

// The padding of auto_pad SAME_LOWER as onnxruntime reckons it, which differs from MaxPool's where
// it is negative: the begin has (total + 1) / 2, rounded towards zero, the end the rest.
ValueId pad_same_lower(Builder& b, ValueId x, const Attributes& a) {
  const std::vector<int64_t> kernel = a.ints("kernel_shape");
  const std::vector<int64_t> strides = a.ints("strides");
  std::vector<int64_t> dilations = a.ints("dilations");
  dilations.resize(kernel.size(), 1);
  std::vector<int64_t> last, extents, axes;
  for (size_t i = 0; i < kernel.size(); ++i) {
    last.push_back(strides[i] - 1);
    extents.push_back(checked_add(checked_mul(kernel[i] - 1, dilations[i]), 1));
    axes.push_back(static_cast<int64_t>(i) + 2);
  }
  const ValueId one = b.ints({1});
  const ValueId stride = b.ints(strides);
  const ValueId sizes = b.op("Shape", {x}, {{"start", int64_t{2}}});
  const ValueId count = b.op("Div", {b.op("Add", {sizes, b.ints(last)}), stride});
  const ValueId covered =
      b.op("Add", {b.op("Mul", {b.op("Sub", {count, one}), stride}), b.ints(extents)});
  const ValueId total = b.op("Sub", {covered, sizes});
  const ValueId begin = b.op("Div", {b.op("Add", {total, one}), b.ints({2})});
  const ValueId pads = b.op("Concat", {begin, b.op("Sub", {total, begin})}, {{"axis", int64_t{0}}});
  const DType dtype = b.type(x).dtype;
  const ValueId lowest = b.scalar(dtype, dtype == DType::kInt8 ? -128 : 0);
  return b.op("Pad", {x, pads, lowest, b.ints(axes)});
}

// Whether a stride is greater than the kernel.
bool leaves_gaps(const Attributes& a) {
  const std::vector<int64_t> kernel = a.ints("kernel_shape");
  const std::vector<int64_t> strides = a.ints("strides");
  return kernel.size() == strides.size() &&
         !std::ranges::equal(strides, kernel, std::ranges::less_equal());
}

Values nhwc_max_pool(Builder& b, const Node& n) {
  Attributes a = attributes_for("MaxPool", n.attributes);
  ValueId x = channels_to_second(b, n.input(0));
  if (a.s("auto_pad", "") == "SAME_LOWER" && leaves_gaps(a)) {
    x = pad_same_lower(b, x, a);
    a.set("auto_pad", std::string("VALID"));
  }
  return {channels_to_last(b, b.op("MaxPool", {x}, a))};
}

// As SAME_LOWER has it too, however its padding is split.
void infer_nhwc_max_pool(InferContext& c) {
  Shape x = c.shape(0);
  TREADLE_CHECK(x.size() >= 3, kInvalidModel, "input of shape ", shape_text(x),
                ": expected [N, spatial…, C]");
  std::rotate(x.begin() + 1, x.end() - 1, x.end());
  Shape y = pool_shape(c.attributes(), x);
  std::rotate(y.begin() + 1, y.begin() + 2, y.end());
  c.set_shape(0, std::move(y));
}

// Without an axis there is one scale.
Values quantize(Builder& b, const Node& n) {
  const Attributes a = attributes_for("QuantizeLinear", n.attributes);
  return b.add("QuantizeLinear", n.inputs, a);
}
Values dequantize(Builder& b, const Node& n) {
  const Attributes a = attributes_for("DequantizeLinear", n.attributes);
  return b.add("DequantizeLinear", n.inputs, a);
}

void infer_quantize(InferContext& c) {
  c.set_dtype(0, c.has(2) ? c.dtype(2) : DType::kUint8);
  infer_same_shape(c);
}

constexpr const char* kBytes =
    "T=int8,uint8 TA=int8,uint8 TB=int8,uint8 T1=int8,uint8 "
    "T2=int8,uint8 T3=int8,uint8 TY=int8,uint8";
constexpr const char* kCodes = "T1=float,float16 T2=int8,uint8,int16,uint16,int32,int4,uint4";

constexpr OpDef row(const char* kind, const char* inputs, const char* outputs,
                    const char* attributes, DecomposeFn decompose) {
  return {.kind = kind,
          .inputs = inputs,
          .outputs = outputs,
          .types = kBytes,
          .attributes = attributes,
          .infer = infer_composite,
          .decompose = decompose,
          .domain = "com.microsoft"};
}

constexpr OpDef kRows[] = {
    {.kind = "MatMulNBits",
     .inputs = "A:T1 B:uint8 scales:T1 zero_points?:T3 g_idx?:int32 bias?:T1",
     .outputs = "Y:T1",
     .types = "T1=float,float16,bfloat16 T3=uint8,float,float16,bfloat16",
     .attributes = "K:i! N:i! accuracy_level:i=0 bits:i=4 block_size:i! weight_prepacked:i=0",
     .infer = infer_matmul_nbits,
     .decompose = matmul_nbits,
     .domain = "com.microsoft"},
    {.kind = "GatherBlockQuantized",
     .inputs = "data:T1 indices:Tind scales:T2 zero_points?:T1",
     .outputs = "output:T2",
     .types = "T1=uint8,int4,uint4 T2=float,float16,bfloat16 Tind=int32,int64",
     .attributes = "bits:i=4 block_size:i=128 gather_axis:i=0 quantize_axis:i=1",
     .infer = infer_gather_blocks,
     .decompose = gather_blocks,
     .domain = "com.microsoft"},
    {.kind = "QGemm",
     .inputs = "A:TA a_scale:float a_zero_point:TA B:TB b_scale:float b_zero_point:TB C?:int32 "
               "y_scale?:float y_zero_point?:TY",
     .outputs = "Y:any",
     .types = kBytes,
     .attributes = "alpha:f=1 transA:i=0 transB:i=0",
     .infer = infer_quantized_gemm,
     .decompose = quantized_gemm,
     .domain = "com.microsoft"},
    row("QLinearWhere",
        "condition:bool X:T x_scale:float x_zero_point:T Y:T y_scale:float y_zero_point:T "
        "z_scale:float z_zero_point:T",
        "Z:T", "", quantized_where),
    row("QLinearReduceMean",
        "data:T data_scale:float data_zero_point?:T reduced_scale:float reduced_zero_point?:T",
        "reduced:T", "axes:is! keepdims:i!", quantized_mean),
    row("QLinearConv",
        "x:T1 x_scale:float x_zero_point:T1 w:T2 w_scale:float w_zero_point:T2 y_scale:float "
        "y_zero_point:T3 B?:int32",
        "y:T3",
        "auto_pad:s=NOTSET channels_last:i=0 dilations:is group:i=1 kernel_shape:is pads:is "
        "strides:is",
        quantized_conv),
    {.kind = "NhwcMaxPool",
     .inputs = "x:T",
     .outputs = "y:T",
     .types = kBytes,
     .attributes =
         "auto_pad:s=NOTSET ceil_mode:i=0 dilations:is kernel_shape:is! pads:is strides:is",
     .infer = infer_nhwc_max_pool,
     .decompose = nhwc_max_pool,
     .domain = "com.microsoft"},
    {.kind = "QuantizeLinear",
     .inputs = "x:T1 y_scale:T1 y_zero_point?:T2",
     .outputs = "y:any",
     .types = kCodes,
     .attributes = "axis:i",
     .infer = infer_quantize,
     .decompose = quantize,
     .domain = "com.microsoft"},
    {.kind = "DequantizeLinear",
     .inputs = "x:T2 x_scale:T1 x_zero_point?:T2",
     .outputs = "y:T1",
     .types = kCodes,
     .attributes = "axis:i",
     .infer = infer_same_shape,
     .decompose = dequantize,
     .domain = "com.microsoft"},
};

}  // namespace

std::span<const OpDef> microsoft_weights_ops() { return kRows; }

}  // namespace treadle

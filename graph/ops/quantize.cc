// QuantizeLinear, DequantizeLinear and DynamicQuantizeLinear.
#include "graph/ops/quantize.h"

#include "graph/ops/cast.h"
#include "graph/ops/families.h"
#include "graph/ops/op.h"

namespace treadle {

QuantLayout quant_layout(const Attributes& attributes, const Dims& x, const Dims& scale) {
  QuantLayout layout;
  if (element_count(scale) == 1) {
    layout.split.inner = element_count(x);
    return layout;
  }
  const int64_t block = attributes.i("block_size", 0);
  const int64_t axis = resolve_axis(attributes.i("axis", 1), static_cast<int64_t>(x.size()));
  layout.split = split_axis(x, axis);
  if (scale.size() == 1 && block <= 0) {
    TREADLE_CHECK(scale[0] == layout.split.size, kInvalidModel, "scale has ", scale[0],
                  " elements, but axis ", axis, " of shape ", shape_text(x), " has size ",
                  layout.split.size);
    layout.axis_step = 1;
    return layout;
  }
  TREADLE_CHECK(block > 0, kInvalidModel, "scale of shape ", shape_text(scale),
                " for an input of shape ", shape_text(x), " needs a positive block_size, got ",
                block);
  Dims expected = x;
  int64_t& blocks = expected[static_cast<size_t>(axis)];
  blocks = ceil_div(blocks, block);
  TREADLE_CHECK(scale == expected, kInvalidModel, "scale has shape ", shape_text(scale),
                ", expected ", shape_text(expected), " for blocks of ", block);
  layout.block = block;
  layout.outer_step = blocks * layout.split.inner;
  layout.axis_step = layout.split.inner;
  layout.inner_step = 1;
  return layout;
}

QuantRange quant_range(DType dtype) {
  const int bits = dtype_bits(dtype);
  TREADLE_CHECK(is_integer(dtype) && bits <= 16, kUnsupported, "quantization to ",
                dtype_name(dtype));
  const bool is_signed = kSigned.has(dtype) || dtype == DType::kInt4 || dtype == DType::kInt2;
  const double count = std::ldexp(1.0, bits);
  return is_signed ? QuantRange{-count / 2, count / 2 - 1} : QuantRange{0, count - 1};
}

DynamicScale dynamic_scale(float low, float high) {
  low = std::min(low, 0.0F);
  high = std::max(high, 0.0F);
  const float scale = high == low ? 1.0F : (high - low) / 255.0F;
  return {scale, round_and_saturate(static_cast<double>(-low / scale), 0, {0, 255})};
}

std::vector<double> quant_values(const Tensor& t) {
  return is_lowbit(t.dtype()) ? widen(t).to_doubles() : t.to_doubles();
}

namespace {

// Zero points laid out as the scales are; zeros where absent.
std::vector<double> zero_points(const EvalContext& c, size_t input, const Tensor& scale) {
  if (!c.has(input)) return std::vector<double>(static_cast<size_t>(scale.count()));
  TREADLE_CHECK(c.input(input).count() == scale.count(), kInvalidModel, "zero point has shape ",
                shape_text(c.input(input).dims()), ", but the scale has shape ",
                shape_text(scale.dims()));
  return quant_values(c.input(input));
}

DType read_dtype(const Attributes& attributes, const char* name, DType fallback) {
  const int64_t value = attributes.i(name, 0);
  TREADLE_CHECK(value >= 0 && value < kDTypeCount, kInvalidModel, "attribute ", name, " is ", value,
                ", expected an element type, 1 to ", kDTypeCount - 1);
  return value == 0 ? fallback : static_cast<DType>(value);
}

// ---- QuantizeLinear

constexpr DTypeSet kQuantized{DType::kInt8,       DType::kUint8,          DType::kInt16,
                              DType::kUint16,     DType::kFloat8E4M3FN,   DType::kFloat8E4M3FNUZ,
                              DType::kFloat8E5M2, DType::kFloat8E5M2FNUZ, DType::kUint4,
                              DType::kInt4,       DType::kFloat4E2M1,     DType::kUint2,
                              DType::kInt2,       DType::kFloat6E2M3,     DType::kFloat6E3M2};

DType quantized_dtype(const Attributes& attributes, std::optional<DType> zero_point) {
  const DType dtype = read_dtype(attributes, "output_dtype", zero_point.value_or(DType::kUint8));
  TREADLE_CHECK(!zero_point || *zero_point == dtype, kInvalidModel, "attribute output_dtype is ",
                dtype_name(dtype), ", but the zero point is ", dtype_name(*zero_point));
  TREADLE_CHECK(kQuantized.has(dtype), kInvalidModel, "attribute output_dtype is ",
                dtype_name(dtype), ", which is no quantized type");
  return dtype;
}

void infer_quantize(InferContext& c) {
  std::optional<DType> zero_point;
  if (c.has(2)) zero_point = c.dtype(2);
  if (zero_point != DType::kUndefined) c.set_dtype(0, quantized_dtype(c.attributes(), zero_point));
  c.set_shape(0, c.shape(0));
}

// x / scale as the type `precision` has it.
double quotient(double x, double scale, DType precision) {
  const auto narrow_x = static_cast<float>(x);
  const auto narrow_scale = static_cast<float>(scale);
  switch (precision) {
    case DType::kFloat16: return Float16(Float16(narrow_x) / Float16(narrow_scale));
    case DType::kBfloat16: return Bfloat16(Bfloat16(narrow_x) / Bfloat16(narrow_scale));
    case DType::kInt32:
    case DType::kDouble: return x / scale;
    default: return static_cast<double>(narrow_x / narrow_scale);
  }
}

// scaled(element, scale index) is the element divided by its scale.
template <class X, class Scaled>
void quantize_integers(const Tensor& x, const QuantLayout& layout, const Scaled& scaled,
                       const std::vector<double>& zeros, DType dtype, Tensor& y) {
  const QuantRange range = quant_range(dtype);
  dispatch(y.dtype(), Types<int8_t, uint8_t, int16_t, uint16_t>{}, [&]<class Y>() {
    const X* from = x.data<X>().data();
    Y* to = y.data<Y>().data();
    for_each_scaled(layout, [&](int64_t i, int64_t s) {
      const double q = scaled(static_cast<double>(from[i]), s);
      to[i] = static_cast<Y>(round_and_saturate(q, zeros[static_cast<size_t>(s)], range));
    });
  });
}

void eval_quantize(EvalContext& c) {
  const Tensor& x = c.input(0);
  const Tensor& scale = c.input(1);
  const QuantLayout layout = quant_layout(c.attributes(), x.dims(), scale.dims());
  const std::vector<double> scales = quant_values(scale);
  const std::vector<double> zeros = zero_points(c, 2, scale);
  const DType precision = read_dtype(c.attributes(), "precision", scale.dtype());
  const DType dtype =
      quantized_dtype(c.attributes(), c.has(2) ? std::optional(c.dtype(2)) : std::nullopt);
  Tensor plain(is_lowbit(dtype) ? widened_dtype(dtype) : dtype, x.dims());
  const auto scaled = [&](double v, int64_t s) {
    return quotient(v, scales[static_cast<size_t>(s)], precision);
  };
  dispatch(x.dtype(), Types<float, Float16, Bfloat16, int32_t>{}, [&]<class X>() {
    if (plain.dtype() != DType::kFloat)
      return quantize_integers<X>(x, layout, scaled, zeros, dtype, plain);
    const X* from = x.data<X>().data();
    float* to = plain.data<float>().data();
    for_each_scaled(layout, [&](int64_t i, int64_t s) {
      to[i] = static_cast<float>(scaled(static_cast<double>(from[i]), s) +
                                 zeros[static_cast<size_t>(s)]);
    });
  });
  const bool saturate = c.attributes().i("saturate", 1) != 0;
  const Tensor result = is_lowbit(dtype) ? narrow(plain, dtype, {.saturate = saturate}) : plain;
  copy_elements(result, c.output(0, dtype, x.dims()));
}

// ---- DequantizeLinear

DType dequantized_dtype(const Attributes& attributes, DType scale) {
  const DType dtype =
      read_dtype(attributes, "output_dtype", scale == DType::kFloat8E8M0 ? DType::kFloat : scale);
  TREADLE_CHECK(kFloats.has(dtype) || dtype == DType::kUndefined, kInvalidModel,
                "attribute output_dtype is ", dtype_name(dtype), ", expected a float type");
  return dtype;
}

void infer_dequantize(InferContext& c) {
  c.set_dtype(0, dequantized_dtype(c.attributes(), c.dtype(1)));
  c.set_shape(0, c.shape(0));
}

void eval_dequantize(EvalContext& c) {
  const Tensor& x = c.input(0);
  const Tensor& scale = c.input(1);
  const QuantLayout layout = quant_layout(c.attributes(), x.dims(), scale.dims());
  const std::vector<double> scales = quant_values(scale);
  const std::vector<double> zeros = zero_points(c, 2, scale);
  const Tensor plain = is_lowbit(x.dtype()) ? widen(x) : x;
  Tensor& y = c.output(0, dequantized_dtype(c.attributes(), scale.dtype()), x.dims());
  dispatch(
      plain.dtype(), Types<int8_t, uint8_t, int16_t, uint16_t, int32_t, float>{}, [&]<class X>() {
        dispatch(y.dtype(), FloatTypes{}, [&]<class Y>() {
          const X* from = plain.data<X>().data();
          Y* to = y.data<Y>().data();
          for_each_scaled(layout, [&](int64_t i, int64_t s) {
            const double centred = static_cast<double>(from[i]) - zeros[static_cast<size_t>(s)];
            to[i] =
                Y(static_cast<float>(centred) * static_cast<float>(scales[static_cast<size_t>(s)]));
          });
        });
      });
}

// ---- DynamicQuantizeLinear

void infer_dynamic_quantize(InferContext& c) {
  c.set_shape(1, {});
  c.set_shape(2, {});
  c.set_shape(0, c.shape(0));
}

void eval_dynamic_quantize(EvalContext& c) {
  const auto x = c.input(0).data<float>();
  Tensor& y = c.output(0, DType::kUint8, c.input(0).dims());
  float low = 0;
  float high = 0;
  for (const float v : x) {
    low = std::min(low, v);
    high = std::max(high, v);
  }
  const auto [scale, zero] = dynamic_scale(low, high);
  auto to = y.data<uint8_t>();
  for (size_t i = 0; i < x.size(); ++i) {
    to[i] =
        static_cast<uint8_t>(round_and_saturate(static_cast<double>(x[i] / scale), zero, {0, 255}));
  }
  c.output(1, DType::kFloat, {}).data<float>()[0] = scale;
  c.output(2, DType::kUint8, {}).data<uint8_t>()[0] = static_cast<uint8_t>(zero);
}

constexpr const char* kQuantizeTypes =
    "T1=float,float16,bfloat16,int32 T2=float,float16,bfloat16,int32,float8e8m0 "
    "T3=int8,uint8,int16,uint16,float8e4m3fn,float8e4m3fnuz,float8e5m2,float8e5m2fnuz,uint4,int4,"
    "float4e2m1,uint2,int2,float6e2m3,float6e3m2";
constexpr const char* kDequantizeTypes =
    "T1=int8,uint8,int16,uint16,int32,float8e4m3fn,float8e4m3fnuz,float8e5m2,float8e5m2fnuz,uint4,"
    "int4,float4e2m1,"
    "uint2,int2,float6e2m3,float6e3m2 T2=float,float16,bfloat16,float8e8m0";

constexpr OpDef kRows[] = {
    {.kind = "QuantizeLinear",
     .inputs = "x:T1 y_scale:T2 y_zero_point?:T3",
     .outputs = "y:any",
     .types = kQuantizeTypes,
     .attributes = "axis:i=1 block_size:i=0 output_dtype:i=0 precision:i=0 saturate:i=1",
     .infer = infer_quantize,
     .eval = eval_quantize},
    {.kind = "DequantizeLinear",
     .inputs = "x:T1 x_scale:T2 x_zero_point?:T1",
     .outputs = "y:any",
     .types = kDequantizeTypes,
     .attributes = "axis:i=1 block_size:i=0 output_dtype:i=0",
     .infer = infer_dequantize,
     .eval = eval_dequantize},
    {.kind = "DynamicQuantizeLinear",
     .inputs = "x:float",
     .outputs = "y:uint8 y_scale:float y_zero_point:uint8",
     .infer = infer_dynamic_quantize,
     .eval = eval_dynamic_quantize},
};

}  // namespace

std::span<const OpDef> quantize_ops() { return kRows; }

}  // namespace treadle

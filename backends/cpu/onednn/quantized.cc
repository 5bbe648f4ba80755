#include "backends/cpu/onednn/quantized.h"

#include <algorithm>
#include <cstring>
#include <span>

#include "backends/cpu/layout.h"
#include "backends/cpu/onednn/conv_plan.h"
#include "backends/cpu/onednn/onednn.h"
#include "backends/cpu/pool_window.h"
#include "backends/cpu/quantized_product.h"
#include "graph/ops/quantize.h"
#include "graph/ops/quantized_inputs.h"

namespace treadle::cpu {
namespace {

using Forward = dnnl::convolution_forward;

using namespace quantized;

// Whether the instruction set sums products of four bytes without overflow between them (VNNI).
bool has_integer_products() {
  constexpr dnnl_cpu_isa_t kWithout[] = {dnnl_cpu_isa_default, dnnl_cpu_isa_sse41, dnnl_cpu_isa_avx,
                                         dnnl_cpu_isa_avx2, dnnl_cpu_isa_avx512_core};
  engine();  // settles the instruction set
  return std::ranges::find(kWithout, dnnl_get_effective_cpu_isa()) == std::end(kWithout);
}

Support supports_quantized(const NodeSpec& spec) {
  return has_integer_products() ? supports_quantized_product(spec) : Support::no("no VNNI");
}

Support supports_conv(const NodeSpec& spec) {
  return has_integer_products() ? supports_quantized_conv(spec) : Support::no("no VNNI");
}

// Scales, zero points and the bias of a product: arguments that are constants.
class Parameters {
 public:
  // `by_output`: oneDNN's mask of the weights' dimensions that have scales of their own.
  Parameters(const NodeSpec& spec, int by_output)
      : spec_(spec),
        to_scale_(spec.has(kZ) ? kSumScale : kYScale),
        to_zero_(spec.has(kZ) ? kSumZero : kYZero) {
    attributes_ = user_scratch_attributes();
    attributes_.set_scales_mask(DNNL_ARG_SRC, 0);
    attributes_.set_scales_mask(DNNL_ARG_WEIGHTS,
                                spec.constant(kWScale)->count() == 1 ? 0 : by_output);
    if (shifts(kXZero)) attributes_.set_zero_points_mask(DNNL_ARG_SRC, 0);
    if (spec.has(kZ)) attributes_.set_post_ops(sum());
    if (spec.has(to_scale_)) attributes_.set_scales_mask(DNNL_ARG_DST, 0);
    if (shifts(to_zero_)) attributes_.set_zero_points_mask(DNNL_ARG_DST, 0);
  }
  const dnnl::primitive_attr& attributes() const { return attributes_; }

  void add(KernelBuilder& builder, std::vector<Argument>& arguments) const {
    add_scale(builder, arguments, kXScale, DNNL_ARG_SRC);
    add_scale(builder, arguments, kWScale, DNNL_ARG_WEIGHTS);
    if (shifts(kXZero)) add_zero(builder, arguments, kXZero, DNNL_ARG_SRC);
    if (spec_.has(to_scale_)) add_scale(builder, arguments, to_scale_, DNNL_ARG_DST);
    if (shifts(to_zero_)) add_zero(builder, arguments, to_zero_, DNNL_ARG_DST);
  }

 private:
  float scale(size_t input) const { return spec_.constant(input)->data<float>()[0]; }
  // The product to the levels of Y and back, plus what Z stands for, which lies in the destination.
  dnnl::post_ops sum() const {
    using dnnl::algorithm;
    const DType dtype = spec_.has(kYZero) ? spec_.inputs[kYZero].dtype : DType::kUint8;
    const QuantRange range = quant_range(dtype);
    const auto offset = static_cast<float>(spec_.has(kYZero) ? zero(kYZero) : 0);
    dnnl::post_ops ops;
    ops.append_eltwise(algorithm::eltwise_linear, 1 / scale(kYScale), 0);
    ops.append_eltwise(algorithm::eltwise_round, 0, 0);
    ops.append_eltwise(algorithm::eltwise_clip_v2, static_cast<float>(range.low) - offset,
                       static_cast<float>(range.high) - offset);
    ops.append_eltwise(algorithm::eltwise_linear, scale(kYScale), 0);
    ops.append_sum(scale(kZScale), spec_.has(kZZero) ? zero(kZZero) : 0,
                   dnnl_type(spec_.inputs[kZ].dtype));
    return ops;
  }
  bool shifts(size_t input) const {
    return spec_.has(input) && (spec_.constant(input) == nullptr || zero(input) != 0);
  }
  int32_t zero(size_t input) const {
    return static_cast<int32_t>(spec_.constant(input)->to_ints()[0]);
  }
  template <class T>
  static void add_held(KernelBuilder& builder, std::vector<Argument>& arguments, int id,
                       DType dtype, std::span<const T> values) {
    auto bytes = Buffer::allocate(values.size_bytes());
    std::memcpy(bytes->data(), values.data(), values.size_bytes());
    const Dims dims = {static_cast<int64_t>(values.size())};
    arguments.push_back({id, describe(dtype, dims, DnnlTag::a), builder.hold(std::move(bytes))});
  }
  void add_scale(KernelBuilder& builder, std::vector<Argument>& arguments, size_t input,
                 int of) const {
    const Tensor* scale = spec_.constant(input);
    if (scale != nullptr) {
      return add_held(builder, arguments, DNNL_ARG_ATTR_SCALES | of, DType::kFloat,
                      scale->data<float>());
    }
    arguments.push_back({DNNL_ARG_ATTR_SCALES | of, describe(DType::kFloat, {1}, DnnlTag::a),
                         Operand::input(input)});
  }
  void add_zero(KernelBuilder& builder, std::vector<Argument>& arguments, size_t input,
                int of) const {
    const DnnlDesc wide = describe(DType::kInt32, {1}, DnnlTag::a);
    if (spec_.constant(input) == nullptr) {
      const DnnlDesc given = describe(spec_.inputs[input].dtype, {1}, DnnlTag::a);
      arguments.push_back({DNNL_ARG_ATTR_ZERO_POINTS | of, wide,
                           builder.add_reorder(given, wide, Operand::input(input))});
      return;
    }
    const int32_t value = zero(input);
    add_held(builder, arguments, DNNL_ARG_ATTR_ZERO_POINTS | of, DType::kInt32,
             std::span(&value, 1));
  }

  const NodeSpec& spec_;
  size_t to_scale_, to_zero_;  // of the destination
  dnnl::primitive_attr attributes_;
};

void finish(const NodeSpec& spec, Compiled& compiled, Layout in, Layout out) {
  compiled.reads.assign(spec.inputs.size(), false);
  compiled.reads[kX] = true;
  for (size_t i : {kB, kXScale, kXZero}) {
    if (spec.has(i)) compiled.reads[i] = i == kB || spec.constant(i) == nullptr;
  }
  compiled.input_layouts.assign(spec.inputs.size(), kPlain);
  compiled.input_layouts[kX] = in;
  compiled.output_layouts = {out};
}

Compiled compile_conv(const NodeSpec& spec, const CompileContext& context) {
  const ThreadScope threads(context.threads);
  const TensorSpec& x = spec.inputs[kX];
  const Dims& w = spec.inputs[kW].dims;
  const ConvParams p = conv_params(spec.node->attributes, x.dims, w);
  const Dims dims = grouped(w, p.group, p.out_channels, p.in_channels);
  const DnnlDesc plain = describe(DType::kInt8, dims, strides_of(dims));
  const Parameters parameters(spec, p.group > 1 ? 3 : 1);
  const DnnlDesc bias = spec.has(kB) ? describe(spec.inputs[kB]) : DnnlDesc();
  const auto describe_with = [&](Layout layout) {
    return Forward::primitive_desc(
        engine(), dnnl::prop_kind::forward_inference, dnnl::algorithm::convolution_direct,
        in_layout(x, layout), any_layout(DType::kInt8, dims), bias,
        in_layout(spec.outputs[0], layout), p.strides, minus_one(p.dilations), p.pads_begin,
        p.pads_end, parameters.attributes(), true);
  };
  return dnnl_guard("int8 convolution", [&] {
    for (const bool any : {false, true}) {
      for (const Layout layout : kConvLayouts) {
        const Forward::primitive_desc pd = describe_with(layout);
        if (!pd || (is_slow(pd.impl_info_str()) && !any)) continue;
        KernelBuilder builder;
        std::vector<Argument> arguments = {
            {DNNL_ARG_SRC, pd.src_desc(), Operand::input(kX)},
            {DNNL_ARG_WEIGHTS, pd.weights_desc(),
             builder.add_packed(context, *spec.constant(kW), plain, pd.weights_desc())},
            {DNNL_ARG_DST, pd.dst_desc(), Operand::output(0)}};
        if (spec.has(kB)) arguments.push_back({DNNL_ARG_BIAS, bias, Operand::input(kB)});
        parameters.add(builder, arguments);
        builder.add(Forward(pd), pd, std::move(arguments));
        const TensorSpec& y = spec.outputs[0];
        const Layout out = canonical(y.dims, layout);
        if (spec.has(kZ)) builder.copy_first(kZ, layout_bytes({y.dtype, y.dims, out}));
        Compiled compiled = builder.finish(cat("int8 ", pd.impl_info_str()));
        finish(spec, compiled, accept(x, layout), out);
        if (spec.has(kZ)) {
          compiled.reads[kZ] = true;
          compiled.input_layouts[kZ] = accept(spec.inputs[kZ], out);
          compiled.in_place = {{kZ}};
        }
        return compiled;
      }
    }
    fail(Code::kUnsupported, "oneDNN has no int8 convolution for ", shape_text(x.dims));
  });
}

bool turned(const NodeSpec& spec) { return spec.node->attributes.i("transB", 0) != 0; }

Support supports_matmul(const NodeSpec& spec) {
  if (Support s = supports_quantized(spec); !s.ok) return s;
  const Dims& w = spec.inputs[kW].dims;
  const int64_t n = w[turned(spec) ? 0 : 1];
  const int64_t scales = spec.constant(kWScale)->count();
  if (scales != 1 && scales != n) return Support::no("scales that are not one a column");
  if (spec.has(kB) && spec.constant(kB)->count() != n)
    return Support::no("bias that is not one a column");
  return {};
}

Compiled compile_matmul(const NodeSpec& spec, const CompileContext& context) {
  const ThreadScope threads(context.threads);
  const Dims& w = spec.inputs[kW].dims;
  const int64_t k = w[turned(spec) ? 1 : 0], n = w[turned(spec) ? 0 : 1];
  const int64_t m = element_count(spec.outputs[0].dims) / n;
  const DnnlDesc a = describe({spec.inputs[kX].dtype, {m, k}});
  const DnnlDesc y = describe({spec.outputs[0].dtype, {m, n}});
  const DnnlDesc bias = spec.has(kB) ? describe({DType::kFloat, {1, n}}) : DnnlDesc();
  const DnnlDesc plain = describe(DType::kInt8, {k, n}, turned(spec) ? Dims{1, k} : Dims{n, 1});
  const Parameters parameters(spec, 2);
  return dnnl_guard("int8 matrix product", [&] {
    const dnnl::matmul::primitive_desc pd(engine(), a, any_layout(DType::kInt8, {k, n}), bias, y,
                                          parameters.attributes());
    KernelBuilder builder;
    std::vector<Argument> arguments = {
        {DNNL_ARG_SRC, a, Operand::input(kX)},
        {DNNL_ARG_WEIGHTS, pd.weights_desc(),
         builder.add_packed(context, *spec.constant(kW), plain, pd.weights_desc())},
        {DNNL_ARG_DST, y, Operand::output(0)}};
    if (spec.has(kB)) arguments.push_back({DNNL_ARG_BIAS, bias, Operand::input(kB)});
    parameters.add(builder, arguments);
    builder.add(dnnl::matmul(pd), pd, std::move(arguments));
    Compiled compiled = builder.finish(cat("int8 ", pd.impl_info_str()));
    finish(spec, compiled, kPlain, kPlain);
    return compiled;
  });
}

// ---- MaxPool of bytes

Support supports_max_pool(const NodeSpec& spec) {
  const TensorSpec& x = spec.inputs[0];
  if (x.dtype != DType::kInt8 && x.dtype != DType::kUint8)
    return Support::no(cat("dtype ", dtype_name(x.dtype)));
  if (spec.outputs.size() > 1 && spec.outputs[1].present()) return Support::no("Indices");
  if (x.dims.size() < 3 || x.dims.size() > 5) return Support::no(cat("rank ", x.dims.size()));
  if (element_count(spec.outputs[0].dims) == 0) return Support::no("empty tensor");
  if (!windows_meet_input(pool_params(spec.node->attributes, x.dims)))
    return Support::no("window within the padding");
  return {};
}

Compiled compile_max_pool(const NodeSpec& spec, const CompileContext& context) {
  const ThreadScope threads(context.threads);
  const TensorSpec& x = spec.inputs[0];
  const TensorSpec& y = spec.outputs[0];
  const PoolParams p = pool_params(spec.node->attributes, x.dims);
  Dims ends = p.pads_end;
  for (size_t i = 0; i < p.rank(); ++i) ends[i] = std::max(ends[i], p.reach_end(i));
  return dnnl_guard("pooling of bytes", [&] {
    const dnnl::pooling_forward::primitive_desc pd(
        engine(), dnnl::prop_kind::forward_inference, dnnl::algorithm::pooling_max,
        in_layout(x, kChannelsLast), in_layout(y, kChannelsLast), p.strides, p.kernel,
        minus_one(p.dilations), p.pads_begin, ends, user_scratch_attributes());
    KernelBuilder builder;
    builder.add(dnnl::pooling_forward(pd), pd,
                {{DNNL_ARG_SRC, pd.src_desc(), Operand::input(0)},
                 {DNNL_ARG_DST, pd.dst_desc(), Operand::output(0)}});
    Compiled compiled = builder.finish(cat("int8 ", pd.impl_info_str()));
    compiled.input_layouts = {accept(x, kChannelsLast)};
    compiled.output_layouts = {canonical(y.dims, kChannelsLast)};
    return compiled;
  });
}

}  // namespace

const Family kInt8MaxPool = {"onednn int8 max_pool", supports_max_pool, compile_max_pool};
const Family kQuantizedConv = {"onednn int8 conv", supports_conv, compile_conv};
const Family kQuantizedMatMul = {"onednn int8 matmul", supports_matmul, compile_matmul};

}  // namespace treadle::cpu

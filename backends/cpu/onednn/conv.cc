#include "backends/cpu/onednn/conv.h"

#include <atomic>

#include "backends/cpu/layout.h"
#include "backends/cpu/onednn/conv_plan.h"
#include "backends/cpu/onednn/post_ops.h"

namespace treadle::cpu {
namespace {

using dnnl::algorithm;
using Forward = dnnl::convolution_forward;
using Deconvolution = dnnl::deconvolution_forward;

constexpr size_t kX = 0, kW = 1, kB = 2, kZ = 3;
// oneDNN 3.2 never frees a brgemm kernel whose post-ops hold a table: some 15 KB a convolution.
// When so many have been made (for many input shapes), other implementations are taken.
constexpr int kLastingConvolutions = 1500;

Support supports_window(const NodeSpec& spec) {
  if (Support s = supports_f32(spec); !s.ok) return s;
  const size_t rank = spec.inputs[kX].dims.size();
  if (rank < 3 || rank > 5) return Support::no(cat("rank ", rank));
  return supports_epilogue(*spec.node);
}

Support supports_conv(const NodeSpec& spec) {
  if (Support s = supports_window(spec); !s.ok) return s;
  if (spec.has(kZ) && spec.inputs[kZ].dims != spec.outputs[0].dims)
    return Support::no("residual that is broadcast");
  return {};
}

struct ConvPlan {
  const NodeSpec& spec;
  const ConvParams& p;
  DnnlDesc weights_plain;

  DnnlDesc bias() const { return spec.has(kB) ? describe(spec.inputs[kB]) : DnnlDesc(); }
  dnnl::primitive_attr attributes() const {
    dnnl::post_ops ops;
    if (spec.has(kZ)) ops.append_sum();
    append_activation(ops, epilogue_of(*spec.node));
    dnnl::primitive_attr a = user_scratch_attributes();
    a.set_post_ops(ops);
    return a;
  }
  Forward::primitive_desc describe_with(Layout layout) const {
    return Forward::primitive_desc(
        engine(), dnnl::prop_kind::forward_inference, algorithm::convolution_direct,
        in_layout(spec.inputs[kX], layout), any_layout(DType::kFloat, weights_plain.get_dims()),
        bias(), in_layout(spec.outputs[0], layout), p.strides, minus_one(p.dilations), p.pads_begin,
        p.pads_end, attributes(), true);
  }
};

bool lasts(const Forward::primitive_desc& pd) {
  return std::string_view(pd.impl_info_str()).starts_with("brg") &&
         pd.get_primitive_attr().get_post_ops().len() > 0;
}

// What oneDNN prefers, or (see kLastingConvolutions) the first that it will free.
Forward::primitive_desc choose(const ConvPlan& plan, Layout layout) {
  static std::atomic<int> lasting = 0;
  Forward::primitive_desc pd = plan.describe_with(layout);
  if (!pd || !lasts(pd) || lasting.fetch_add(1) < kLastingConvolutions) return pd;
  while (pd.next_impl()) {
    if (!lasts(pd) && !is_slow(pd.impl_info_str())) return pd;
  }
  return plan.describe_with(layout);
}

// oneDNN 3.2's depthwise kernel for SSE4.1 dies on a residual that is not aligned.
bool dies(const Forward::primitive_desc& pd, const NodeSpec& spec) {
  return spec.has(kZ) && std::string_view(pd.impl_info_str()) == "jit_dw:sse41";
}

// Adds the primitive with its weights packed (or reordered in the run where they are not constant).
template <class PrimitiveDesc>
void add_with_weights(KernelBuilder& builder, const PrimitiveDesc& pd,
                      const dnnl::primitive& primitive, const ConvPlan& plan,
                      const CompileContext& context) {
  const Tensor* w = plan.spec.constant(kW);
  const Operand weights =
      w != nullptr ? builder.add_packed(context, *w, plan.weights_plain, pd.weights_desc())
                   : builder.add_reorder(plan.weights_plain, pd.weights_desc(), Operand::input(kW));
  std::vector<Argument> arguments = {{DNNL_ARG_SRC, pd.src_desc(), Operand::input(kX)},
                                     {DNNL_ARG_WEIGHTS, pd.weights_desc(), weights},
                                     {DNNL_ARG_DST, pd.dst_desc(), Operand::output(0)}};
  if (plan.spec.has(kB)) arguments.push_back({DNNL_ARG_BIAS, plan.bias(), Operand::input(kB)});
  builder.add(primitive, pd, std::move(arguments));
}

Compiled finish(KernelBuilder& builder, const NodeSpec& spec, Layout layout,
                const char* implementation) {
  const TensorSpec& y = spec.outputs[0];
  const Layout out = canonical(y.dims, layout);
  if (spec.has(kZ)) builder.copy_first(kZ, layout_bytes({y.dtype, y.dims, out}));
  Compiled compiled = builder.finish(implementation);
  compiled.input_layouts.assign(spec.inputs.size(), kPlain);
  compiled.input_layouts[kX] = accept(spec.inputs[kX], layout);
  compiled.output_layouts = {out};
  compiled.reads.assign(spec.inputs.size(), true);
  compiled.reads[kW] = spec.constant(kW) == nullptr;
  if (spec.has(kZ)) {
    compiled.input_layouts[kZ] = accept(spec.inputs[kZ], out);
    compiled.in_place = {{kZ}};
  }
  return compiled;
}

Compiled compile_conv(const NodeSpec& spec, const CompileContext& context) {
  const ThreadScope threads(context.threads);
  const Dims& w = spec.inputs[kW].dims;
  const ConvParams p = conv_params(spec.node->attributes, spec.inputs[kX].dims, w);
  const Dims dims = grouped(w, p.group, p.out_channels, p.in_channels);
  const ConvPlan plan{spec, p, describe(DType::kFloat, dims, strides_of(dims))};
  return dnnl_guard("convolution", [&] {
    for (const Layout layout : kConvLayouts) {
      const Forward::primitive_desc pd = choose(plan, layout);
      if (!pd || dies(pd, spec) || (is_slow(pd.impl_info_str()) && layout != kPlain)) continue;
      KernelBuilder builder;
      add_with_weights(builder, pd, Forward(pd), plan, context);
      return finish(builder, spec, layout, pd.impl_info_str());
    }
    fail(Code::kUnsupported, "oneDNN has no convolution for ", shape_text(spec.inputs[kX].dims));
  });
}

// ---- ConvTranspose

// oneDNN reads the end pads as what the output lacks: cells of output_padding count against them.
Dims deconv_pads_end(const ConvParams& p) {
  Dims pads(p.rank());
  for (size_t i = 0; i < p.rank(); ++i) {
    pads[i] = (p.input[i] - 1) * p.strides[i] + p.extent(i) - p.pads_begin[i] - p.output[i];
  }
  return pads;
}

Support supports_deconv(const NodeSpec& spec) {
  if (Support s = supports_window(spec); !s.ok) return s;
  const ConvParams p =
      conv_transpose_params(spec.node->attributes, spec.inputs[kX].dims, spec.inputs[kW].dims);
  for (int64_t pad : deconv_pads_end(p)) {
    if (pad < 0) return Support::no("output beyond the last window");
  }
  return {};
}

Compiled compile_deconv(const NodeSpec& spec, const CompileContext& context) {
  const ThreadScope threads(context.threads);
  const Dims& w = spec.inputs[kW].dims;
  const ConvParams p = conv_transpose_params(spec.node->attributes, spec.inputs[kX].dims, w);
  // ONNX keeps [C, M/g, k…]; oneDNN's dims are [g, M/g, C/g, k…]: the same elements with two axes
  // exchanged.
  const Dims dims = grouped(w, p.group, p.out_channels, p.in_channels);
  Dims stored = dims;
  const size_t m = p.group > 1 ? 1 : 0;
  std::swap(stored[m], stored[m + 1]);
  Dims strides = strides_of(stored);
  std::swap(strides[m], strides[m + 1]);
  const ConvPlan plan{spec, p, describe(DType::kFloat, dims, strides)};
  return dnnl_guard("deconvolution", [&] {
    for (const Layout layout : kConvLayouts) {
      const Deconvolution::primitive_desc pd(
          engine(), dnnl::prop_kind::forward_inference, algorithm::deconvolution_direct,
          in_layout(spec.inputs[kX], layout), any_layout(DType::kFloat, dims), plan.bias(),
          in_layout(spec.outputs[0], layout), p.strides, minus_one(p.dilations), p.pads_begin,
          deconv_pads_end(p), plan.attributes(), true);
      if (!pd || (is_slow(pd.impl_info_str()) && layout != kPlain)) continue;
      KernelBuilder builder;
      add_with_weights(builder, pd, Deconvolution(pd), plan, context);
      return finish(builder, spec, layout, pd.impl_info_str());
    }
    fail(Code::kUnsupported, "oneDNN has no deconvolution for ", shape_text(spec.inputs[kX].dims));
  });
}

}  // namespace

const Family kOnednnConv = {"onednn conv", supports_conv, compile_conv};
const Family kOnednnDeconv = {"onednn deconv", supports_deconv, compile_deconv};

}  // namespace treadle::cpu

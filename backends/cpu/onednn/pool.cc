#include "backends/cpu/onednn/pool.h"

#include <algorithm>

#include "backends/cpu/layout.h"
#include "backends/cpu/onednn/onednn.h"
#include "backends/cpu/onednn/post_ops.h"
#include "backends/cpu/pool_window.h"
#include "graph/ops/conv_params.h"

namespace treadle::cpu {
namespace {

using dnnl::algorithm;
constexpr auto kInference = dnnl::prop_kind::forward_inference;

bool is_global(const Node& node) { return node.op->kind.starts_with("Global"); }

PoolParams params_of(const NodeSpec& spec) {
  const Dims& x = spec.inputs[0].dims;
  return is_global(*spec.node) ? global_pool_params(x) : pool_params(spec.node->attributes, x);
}

Support supports_average(const PoolParams& p) {
  if (!windows_meet_input(p)) return Support::no("window within the padding");
  for (size_t i = 0; i < p.rank(); ++i) {
    if (p.count_include_pad && p.reach_end(i) > p.pads_end[i])
      return Support::no("ceil_mode with count_include_pad");
    if (p.dilations[i] != 1) return Support::no("dilations");
  }
  return {};
}

Support supports_pool(const NodeSpec& spec) {
  if (Support s = supports_f32(spec); !s.ok) return s;
  const size_t rank = spec.inputs[0].dims.size();
  if (rank < 3 || rank > 5) return Support::no(cat("rank ", rank));
  return supports_average(params_of(spec));
}

algorithm average_kind(const PoolParams& p) {
  return p.count_include_pad ? algorithm::pooling_avg_include_padding
                             : algorithm::pooling_avg_exclude_padding;
}

Dims pad_ends(const PoolParams& p) {
  Dims ends = p.pads_end;
  for (size_t i = 0; i < p.rank(); ++i) ends[i] = pad_end(p, i);
  return ends;
}

DnnlDesc in_layout(DType dtype, const Dims& dims, Layout layout) {
  return describe({dtype, dims, layout});
}

dnnl::pooling_forward::primitive_desc describe_pool(dnnl::prop_kind prop, const Dims& x,
                                                    const PoolParams& p, Layout layout) {
  return dnnl::pooling_forward::primitive_desc(
      engine(), prop, average_kind(p), in_layout(DType::kFloat, x, layout),
      in_layout(DType::kFloat, p.output_dims(), layout), p.strides, p.kernel, Dims(p.rank(), 0),
      p.pads_begin, pad_ends(p), user_scratch_attributes(), true);
}

// Keeps the layout that comes in; leaves it only where oneDNN has nothing but loops for it.
Compiled compile_pool(const NodeSpec& spec, const CompileContext& context) {
  const ThreadScope threads(context.threads);
  const PoolParams p = params_of(spec);
  const TensorSpec& x = spec.inputs[0];
  return dnnl_guard("pooling", [&] {
    Layout layout = x.layout;
    dnnl::pooling_forward::primitive_desc pd = describe_pool(kInference, x.dims, p, layout);
    if (!pd || is_slow(pd.impl_info_str())) {
      for (const Layout other : {kChannelsLast, kPlain}) {
        const auto better = describe_pool(kInference, x.dims, p, other);
        if (!better || (pd && is_slow(better.impl_info_str()))) continue;
        layout = other;
        pd = better;
        break;
      }
    }
    TREADLE_CHECK(pd, kUnsupported, "oneDNN has no pooling for ", shape_text(x.dims));
    KernelBuilder builder;
    builder.add(dnnl::pooling_forward(pd), pd,
                {{DNNL_ARG_SRC, pd.src_desc(), Operand::input(0)},
                 {DNNL_ARG_DST, pd.dst_desc(), Operand::output(0)}});
    Compiled compiled = builder.finish(pd.impl_info_str());
    compiled.input_layouts = {accept(x, layout)};
    compiled.output_layouts = {canonical(spec.outputs[0].dims, layout)};
    return compiled;
  });
}

// ---- AveragePoolGrad: of DY and X, of which only the sizes count

Support supports_pool_grad(const NodeSpec& spec) {
  if (Support s = supports_f32(spec); !s.ok) return s;
  const size_t rank = spec.inputs[1].dims.size();
  if (rank < 3 || rank > 5) return Support::no(cat("rank ", rank));
  return supports_average(pool_params(spec.node->attributes, spec.inputs[1].dims));
}

dnnl::pooling_backward::primitive_desc describe_pool_grad(const Dims& x, const PoolParams& p,
                                                          Layout layout) {
  const auto forward = describe_pool(dnnl::prop_kind::forward_training, x, p, layout);
  if (!forward) return {};
  return dnnl::pooling_backward::primitive_desc(
      engine(), average_kind(p), in_layout(DType::kFloat, x, layout),
      in_layout(DType::kFloat, p.output_dims(), layout), p.strides, p.kernel, Dims(p.rank(), 0),
      p.pads_begin, pad_ends(p), forward, user_scratch_attributes(), true);
}

Compiled compile_pool_grad(const NodeSpec& spec, const CompileContext& context) {
  const ThreadScope threads(context.threads);
  const TensorSpec& dy = spec.inputs[0];
  const Dims& x = spec.inputs[1].dims;
  const PoolParams p = pool_params(spec.node->attributes, x);
  return dnnl_guard("gradient of pooling", [&] {
    for (const Layout layout : {dy.layout, kChannelsLast, kPlain}) {
      const auto pd = describe_pool_grad(x, p, layout);
      if (!pd || (is_slow(pd.impl_info_str()) && layout != kPlain)) continue;
      KernelBuilder builder;
      builder.add(dnnl::pooling_backward(pd), pd,
                  {{DNNL_ARG_DIFF_DST, pd.diff_dst_desc(), Operand::input(0)},
                   {DNNL_ARG_DIFF_SRC, pd.diff_src_desc(), Operand::output(0)}});
      Compiled compiled = builder.finish(pd.impl_info_str());
      compiled.input_layouts = {accept(dy, layout), spec.inputs[1].layout};
      compiled.output_layouts = {canonical(x, layout)};
      compiled.reads = {true, false};
      return compiled;
    }
    fail(Code::kUnsupported, "oneDNN has no gradient of pooling for ", shape_text(x));
  });
}

// ---- LRN

Support supports_lrn(const NodeSpec& spec) {
  if (Support s = supports_f32(spec); !s.ok) return s;
  const size_t rank = spec.inputs[0].dims.size();
  if (rank < 3 || rank > 5) return Support::no(cat("rank ", rank));
  if (spec.node->attributes.i("size", 1) % 2 == 0) return Support::no("even size");
  return {};
}

Compiled compile_lrn(const NodeSpec& spec, const CompileContext& context) {
  const ThreadScope threads(context.threads);
  const Attributes& a = spec.node->attributes;
  const DnnlDesc desc = describe(spec.inputs[0]);
  return dnnl_guard("local response normalization", [&] {
    const dnnl::lrn_forward::primitive_desc pd(
        engine(), kInference, algorithm::lrn_across_channels, desc, desc, a.i("size", 1),
        a.f("alpha", 1e-4f), a.f("beta", 0.75f), a.f("bias", 1), user_scratch_attributes());
    KernelBuilder builder;
    builder.add(
        dnnl::lrn_forward(pd), pd,
        {{DNNL_ARG_SRC, desc, Operand::input(0)}, {DNNL_ARG_DST, desc, Operand::output(0)}});
    Compiled compiled = builder.finish(pd.impl_info_str());
    compiled.input_layouts = compiled.output_layouts = {spec.inputs[0].layout};
    return compiled;
  });
}

}  // namespace

const Family kOnednnPool = {"onednn pool", supports_pool, compile_pool};
const Family kOnednnPoolGrad = {"onednn pool grad", supports_pool_grad, compile_pool_grad};
const Family kOnednnLrn = {"onednn lrn", supports_lrn, compile_lrn};

}  // namespace treadle::cpu

#include "backends/cpu/onednn/conv_backward.h"

#include <algorithm>

#include "backends/cpu/layout.h"
#include "backends/cpu/onednn/conv_plan.h"
#include "backends/cpu/onednn/post_ops.h"

namespace treadle::cpu {
namespace {

using dnnl::algorithm;
using Forward = dnnl::convolution_forward;
using BackwardData = dnnl::convolution_backward_data;
using BackwardWeights = dnnl::convolution_backward_weights;

// DY first in both; then W of the one, X of the other; then the shape of the result.
constexpr size_t kY = 0, kOther = 1;

Support supports_backward(const NodeSpec& spec) {
  for (const TensorSpec* t : {&spec.inputs[kY], &spec.inputs[kOther], &spec.outputs[0]}) {
    if (t->dtype != DType::kFloat) return Support::no(cat("dtype ", dtype_name(t->dtype)));
    if (element_count(t->dims) == 0) return Support::no("nothing to compute");
  }
  const size_t rank = spec.inputs[kY].dims.size();
  if (rank < 3 || rank > 5) return Support::no(cat("rank ", rank));
  return {};
}

struct Problem {
  const TensorSpec& x;
  const TensorSpec& w;
  const TensorSpec& y;
  ConvParams p;
  Dims w_dims;  // as oneDNN has them

  DnnlDesc weights() const { return describe(DType::kFloat, w_dims, strides_of(w_dims)); }
};

Problem problem(const NodeSpec& spec, const TensorSpec& x, const TensorSpec& w) {
  Problem q{x, w, spec.inputs[kY], conv_params(spec.node->attributes, x.dims, w.dims), {}};
  q.w_dims = grouped(w.dims, q.p.group, q.p.out_channels, q.p.in_channels);
  return q;
}

// oneDNN's descriptor of a gradient, made with that of the convolution forward.
template <class Backward>
typename Backward::primitive_desc describe_with(const Problem& q, Layout layout) {
  const DnnlDesc x = in_layout(q.x, layout);
  const DnnlDesc y = in_layout(q.y, layout);
  const DnnlDesc w = any_layout(DType::kFloat, q.w_dims);
  const Dims dilates = minus_one(q.p.dilations);
  const Forward::primitive_desc forward(
      engine(), dnnl::prop_kind::forward_training, algorithm::convolution_direct, x, w, y,
      q.p.strides, dilates, q.p.pads_begin, q.p.pads_end, user_scratch_attributes(), true);
  if (!forward) return {};
  return typename Backward::primitive_desc(engine(), algorithm::convolution_direct, x, w, y,
                                           q.p.strides, dilates, q.p.pads_begin, q.p.pads_end,
                                           forward, user_scratch_attributes(), true);
}

// Which of oneDNN's kernels will do.
enum class Kernels : uint8_t { kAll, kFast };

// The first of the layouts for which oneDNN has more than plain loops; of all kernels the last one
// anyway.
template <class Backward, class Build>
Compiled compile_with(const Problem& q, Kernels kernels, Build&& build) {
  for (const Layout layout : kConvLayouts) {
    const auto pd = describe_with<Backward>(q, layout);
    const bool last = layout == kPlain && kernels == Kernels::kAll;
    if (!pd || (is_slow(pd.impl_info_str()) && !last)) continue;
    return build(pd, layout);
  }
  fail(Code::kUnsupported, "oneDNN has no gradient of a convolution of ", shape_text(q.x.dims));
}

template <Kernels kKernels>
Compiled compile_grad_input(const NodeSpec& spec, const CompileContext& context) {
  const ThreadScope threads(context.threads);
  const Problem q = problem(spec, spec.outputs[0], spec.inputs[kOther]);
  return dnnl_guard("gradient of a convolution's input", [&] {
    return compile_with<BackwardData>(q, kKernels, [&](const auto& pd, Layout layout) {
      KernelBuilder builder;
      const Tensor* w = spec.constant(kOther);
      const Operand weights =
          w != nullptr
              ? builder.add_packed(context, *w, q.weights(), pd.weights_desc())
              : builder.add_reorder(q.weights(), pd.weights_desc(), Operand::input(kOther));
      builder.add(BackwardData(pd), pd,
                  {{DNNL_ARG_DIFF_DST, pd.diff_dst_desc(), Operand::input(kY)},
                   {DNNL_ARG_WEIGHTS, pd.weights_desc(), weights},
                   {DNNL_ARG_DIFF_SRC, pd.diff_src_desc(), Operand::output(0)}});
      Compiled compiled = builder.finish(pd.impl_info_str());
      compiled.input_layouts = {accept(q.y, layout), kPlain, kPlain};
      compiled.output_layouts = {canonical(q.x.dims, layout)};
      compiled.reads = {true, w == nullptr, false};
      return compiled;
    });
  });
}

template <Kernels kKernels>
Compiled compile_grad_weights(const NodeSpec& spec, const CompileContext& context) {
  const ThreadScope threads(context.threads);
  const Problem q = problem(spec, spec.inputs[kOther], spec.outputs[0]);
  return dnnl_guard("gradient of a convolution's weights", [&] {
    return compile_with<BackwardWeights>(q, kKernels, [&](const auto& pd, Layout layout) {
      KernelBuilder builder;
      const DnnlDesc made = pd.diff_weights_desc();
      const bool direct = made == q.weights();
      const Operand target =
          direct ? Operand::output(0) : Operand::scratch(builder.take_scratch(made.get_size()));
      builder.add(BackwardWeights(pd), pd,
                  {{DNNL_ARG_DIFF_DST, pd.diff_dst_desc(), Operand::input(kY)},
                   {DNNL_ARG_SRC, pd.src_desc(), Operand::input(kOther)},
                   {DNNL_ARG_DIFF_WEIGHTS, made, target}});
      if (!direct) builder.add_reorder_to(made, q.weights(), target, Operand::output(0));
      Compiled compiled = builder.finish(pd.impl_info_str());
      compiled.input_layouts = {accept(q.y, layout), accept(q.x, layout), kPlain};
      compiled.reads = {true, true, false};
      return compiled;
    });
  });
}

// ---- Where oneDNN's are known to be faster than the native ones

bool is_point(const Dims& w) {
  return std::all_of(w.begin() + 2, w.end(), [](int64_t k) { return k == 1; });
}

bool point_input_pays(const NodeSpec& spec) { return is_point(spec.inputs[kOther].dims); }

// Also the first layer of pictures.
bool point_weights_pay(const NodeSpec& spec) {
  const Dims& x = spec.inputs[kOther].dims;
  const Dims& w = spec.outputs[0].dims;
  constexpr int64_t kColours = 3, kVector = 16;
  return is_point(w) || (x[1] == kColours && w[1] == kColours && w[0] % kVector == 0);
}

}  // namespace

const Family kOnednnPointGradInput{"onednn 1x1 grad input", supports_backward,
                                   compile_grad_input<Kernels::kFast>, point_input_pays};
const Family kOnednnPointGradWeights{"onednn 1x1 grad weights", supports_backward,
                                     compile_grad_weights<Kernels::kFast>, point_weights_pay};
const Family kOnednnConvGradInput{"onednn conv grad input", supports_backward,
                                  compile_grad_input<Kernels::kAll>};
const Family kOnednnConvGradWeights{"onednn conv grad weights", supports_backward,
                                    compile_grad_weights<Kernels::kAll>};

}  // namespace treadle::cpu

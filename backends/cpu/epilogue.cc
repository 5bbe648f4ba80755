#include "backends/cpu/epilogue.h"

#include <cmath>
#include <limits>

namespace treadle::cpu {
namespace {

struct Activation {
  std::string_view name;
  dnnl::algorithm algorithm;
  // Constants of oneDNN's formula; NAN: the node's alpha or beta.
  float alpha;
  float beta;
};
constexpr float kOwn = std::numeric_limits<float>::quiet_NaN();
constexpr Activation kActivations[] = {
    {"Relu", dnnl::algorithm::eltwise_relu, 0, 0},
    {"LeakyRelu", dnnl::algorithm::eltwise_relu, kOwn, 0},
    {"Clip", dnnl::algorithm::eltwise_clip_v2, kOwn, kOwn},
    {"Sigmoid", dnnl::algorithm::eltwise_logistic, 0, 0},
    {"Tanh", dnnl::algorithm::eltwise_tanh, 0, 0},
    {"HardSigmoid", dnnl::algorithm::eltwise_hardsigmoid, kOwn, kOwn},
    {"HardSwish", dnnl::algorithm::eltwise_hardswish, 1.0f / 6, 0.5f},
    {"Swish", dnnl::algorithm::eltwise_swish, kOwn, 0},
    {"Gelu", dnnl::algorithm::eltwise_gelu_erf, 0, 0},
    {"GeluTanh", dnnl::algorithm::eltwise_gelu_tanh, 0, 0},
    {"Elu", dnnl::algorithm::eltwise_elu, kOwn, 0},
};

const Activation* find_activation(std::string_view name) {
  for (const Activation& a : kActivations) {
    if (a.name == name) return &a;
  }
  return nullptr;
}

}  // namespace

Epilogue epilogue_of(const Node& node) {
  const Attributes& a = node.attributes;
  return {a.s("activation", ""), a.f("activation_alpha", 0), a.f("activation_beta", 0)};
}

Support supports_epilogue(const Node& node) {
  const Epilogue e = epilogue_of(node);
  if (e.activation.empty() || find_activation(e.activation) != nullptr) return {};
  return Support::no(cat("activation ", e.activation));
}

void append_activation(dnnl::post_ops& ops, const Epilogue& epilogue) {
  if (epilogue.activation.empty()) return;
  const Activation* a = find_activation(epilogue.activation);
  TREADLE_CHECK(a != nullptr, kInternal, "no activation ", epilogue.activation);
  ops.append_eltwise(a->algorithm, std::isnan(a->alpha) ? epilogue.alpha : a->alpha,
                     std::isnan(a->beta) ? epilogue.beta : a->beta);
}

Support supports_f32(const NodeSpec& spec) {
  for (const auto* list : {&spec.inputs, &spec.outputs}) {
    for (const TensorSpec& t : *list) {
      if (!t.present()) continue;
      if (t.dtype != DType::kFloat) return Support::no(cat("dtype ", dtype_name(t.dtype)));
      if (element_count(t.dims) == 0) return Support::no("empty tensor");
    }
  }
  return {};
}

}  // namespace treadle::cpu

#include "backends/cpu/onednn/post_ops.h"

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

}  // namespace treadle::cpu

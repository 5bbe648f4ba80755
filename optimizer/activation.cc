#include "optimizer/activation.h"

#include <limits>

namespace treadle {
namespace {

// A bound of Clip; `fallback` where absent, nothing where it is not known.
std::optional<float> bound(const Pass& pass, ValueId id, float fallback) {
  if (!id.valid()) return fallback;
  const Tensor* t = pass.constant(id);
  const auto value = t != nullptr ? scalar_value(*t) : std::nullopt;
  return value ? std::optional<float>(static_cast<float>(*value)) : std::nullopt;
}

}  // namespace

std::optional<FusedActivation> activation_of(const Pass& pass, const Node& node) {
  if (!node.op->domain.empty()) return std::nullopt;
  const std::string& kind = node.op->kind;
  const Attributes& a = node.attributes;
  if (kind == "Relu" || kind == "Sigmoid" || kind == "Tanh" || kind == "HardSwish") {
    return FusedActivation{kind, 0, 0};
  }
  if (kind == "LeakyRelu") return FusedActivation{kind, a.f("alpha", 0.01f), 0};
  if (kind == "Elu" || kind == "Swish") return FusedActivation{kind, a.f("alpha", 1), 0};
  if (kind == "HardSigmoid") return FusedActivation{kind, a.f("alpha", 0.2f), a.f("beta", 0.5f)};
  if (kind == "Gelu") {
    return FusedActivation{a.s("approximate", "none") == "tanh" ? "GeluTanh" : "Gelu", 0, 0};
  }
  if (kind == "Clip") {
    constexpr float kInfinity = std::numeric_limits<float>::infinity();
    const auto low = bound(pass, node.input(1), -kInfinity);
    const auto high = bound(pass, node.input(2), kInfinity);
    if (low && high && *low <= *high) return FusedActivation{kind, *low, *high};
  }
  return std::nullopt;
}

void set_activation(Attributes& attributes, const FusedActivation& activation) {
  if (activation.kind.empty()) return;
  attributes.set("activation", activation.kind);
  attributes.set("activation_alpha", activation.alpha);
  attributes.set("activation_beta", activation.beta);
}

}  // namespace treadle

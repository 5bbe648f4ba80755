#include "backends/cpu/epilogue.h"

#include <cmath>

namespace treadle::cpu {

Epilogue epilogue_of(const Node& node) {
  const Attributes& a = node.attributes;
  return {a.s("activation", ""), a.f("activation_alpha", 0), a.f("activation_beta", 0)};
}

std::optional<Bounds> bounds_of(const Epilogue& e) {
  if (e.activation.empty()) return Bounds{};
  if (e.activation == "Relu") return Bounds{.low = 0};
  if (e.activation == "Clip" && !std::isnan(e.alpha) && !std::isnan(e.beta))
    return Bounds{e.alpha, e.beta};
  return std::nullopt;
}

}  // namespace treadle::cpu

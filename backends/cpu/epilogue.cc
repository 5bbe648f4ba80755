#include "backends/cpu/epilogue.h"

namespace treadle::cpu {

Epilogue epilogue_of(const Node& node) {
  const Attributes& a = node.attributes;
  return {a.s("activation", ""), a.f("activation_alpha", 0), a.f("activation_beta", 0)};
}

}  // namespace treadle::cpu

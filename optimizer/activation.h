// Activations as the fused operators' attributes spell them.
#pragma once

#include <optional>
#include <string>

#include "optimizer/passes.h"

namespace treadle {

struct FusedActivation {
  std::string kind;  // "" = none
  float alpha = 0, beta = 0;
};

// The activation that the node is, when its parameters are constants.
std::optional<FusedActivation> activation_of(const Pass& pass, const Node& node);
void set_activation(Attributes& attributes, const FusedActivation& activation);

}  // namespace treadle

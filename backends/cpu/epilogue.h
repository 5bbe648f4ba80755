// What a fused operator does to its result before storing it.
#pragma once

#include <limits>
#include <optional>

#include "backends/backend.h"

namespace treadle::cpu {

// Attributes activation, activation_alpha and activation_beta of FusedConv, FusedGemm and
// FusedMatMul. Other operators have none.
struct Epilogue {
  std::string activation;  // "" = none
  float alpha = 0;
  float beta = 0;
};
Epilogue epilogue_of(const Node& node);

struct Bounds {
  float low = -std::numeric_limits<float>::infinity();
  float high = std::numeric_limits<float>::infinity();
};
// Of activations that are bounds.
std::optional<Bounds> bounds_of(const Epilogue& epilogue);

}  // namespace treadle::cpu

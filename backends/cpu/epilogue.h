// What a fused operator does to its result before storing it.
#pragma once

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

}  // namespace treadle::cpu

// What a fused operator does to its result before storing it, as oneDNN post-operations.
#pragma once

#include "backends/cpu/onednn.h"

namespace treadle::cpu {

// Attributes activation, activation_alpha and activation_beta of FusedConv, FusedGemm and
// FusedMatMul. Other operators have none.
struct Epilogue {
  std::string activation;  // "" = none
  float alpha = 0;
  float beta = 0;
};
Epilogue epilogue_of(const Node& node);
// Says which activation oneDNN lacks.
Support supports_epilogue(const Node& node);
void append_activation(dnnl::post_ops& ops, const Epilogue& epilogue);

// Parts of `supports` that families share.
// f32 inputs and outputs, none of them empty.
Support supports_f32(const NodeSpec& spec);

}  // namespace treadle::cpu

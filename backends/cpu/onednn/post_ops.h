// The activation of a fused operator as an operation that oneDNN adds to a primitive.
#pragma once

#include "backends/cpu/epilogue.h"
#include "backends/cpu/onednn/onednn.h"

namespace treadle::cpu {

// Says which activation oneDNN lacks.
Support supports_epilogue(const Node& node);
void append_activation(dnnl::post_ops& ops, const Epilogue& epilogue);

}  // namespace treadle::cpu

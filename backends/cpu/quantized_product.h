// What nodes of products of bytes have in common for the families that run them.
#pragma once

#include "backends/cpu/family.h"

namespace treadle::cpu {

// Of QuantizedConv and QuantizedMatMul: constant parameters but for the scale and the zero point of
// X, one of each for all the data, and no empty tensor.
Support supports_quantized_product(const NodeSpec& spec);
// And of QuantizedConv: one to three spatial axes, scales and a bias that are one a channel.
Support supports_quantized_conv(const NodeSpec& spec);

}  // namespace treadle::cpu

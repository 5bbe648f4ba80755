// What nodes of products of bytes have in common for the families that run them.
#pragma once

#include <optional>

#include "backends/cpu/family.h"

namespace treadle::cpu {

// Of QuantizedConv and QuantizedMatMul: constant parameters but for the scale and the zero point of
// X where the output is floats, one of each for all the data, and no empty tensor.
Support supports_quantized_product(const NodeSpec& spec);
// And of QuantizedConv: one to three spatial axes, scales and a bias that are one a channel.
Support supports_quantized_conv(const NodeSpec& spec);

// Of an int8 as uint8, and back.
inline constexpr uint8_t kFlip = 0x80;

// The zero point of X, Y …, where it is a constant; 0: there is none.
int32_t zero_point(const NodeSpec& spec, size_t input);

// y = scale · (start + sum) + bias for an output channel, in the levels of Y around zero where it
// has some. A bias that counts the sums' own steps, as the int32 of a quantized model does, is the
// start: levels are then those of onnxruntime's QLinearConv, to the bit.
struct ChannelTerms {
  float scale;
  float bias;
  int32_t start;
};

class ChannelScales {
 public:
  explicit ChannelScales(const NodeSpec& spec);
  // `size`: that of the channel's weights together. A scale of X that is no constant is left out.
  // kUnsupported where levels leave the integers of 32 bits that they are rounded to before they
  // are bounded.
  ChannelTerms terms(size_t channel, int32_t size) const;

 private:
  bool levels_;
  std::optional<float> x_scale_;
  float y_scale_ = 1;
  std::vector<double> scales_, biases_;
};

}  // namespace treadle::cpu

// What nodes of products of bytes have in common for the families that run them.
#pragma once

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

// y = scale · sum + bias for an output channel, in the levels of Y around zero where it has some. A
// scale of X that is no constant is left out.
class ChannelScales {
 public:
  explicit ChannelScales(const NodeSpec& spec);
  float scale(size_t channel) const;
  float bias(size_t channel) const;
  // kUnsupported where levels leave the integers of 32 bits that they are rounded to before they
  // are bounded; `size`: that of the channel's weights together.
  void check(size_t channel, int32_t size) const;

 private:
  bool levels_;
  double factor_;
  std::vector<double> scales_, biases_;
};

}  // namespace treadle::cpu

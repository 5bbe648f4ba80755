#include "backends/cpu/quantized_product.h"

#include <cmath>

#include "graph/ops/quantized_inputs.h"

namespace treadle::cpu {

using namespace quantized;

Support supports_quantized_product(const NodeSpec& spec) {
  for (size_t i : {kW, kWScale, kB, kYScale, kYZero, kZScale, kZZero, kSumScale, kSumZero}) {
    if (spec.has(i) && spec.constant(i) == nullptr) return Support::no("parameters of the run");
  }
  for (size_t i : {kXScale, kXZero, kYScale, kYZero, kZScale, kZZero, kSumScale, kSumZero}) {
    if (spec.has(i) && element_count(spec.inputs[i].dims) != 1)
      return Support::no("several scales of the data");
  }
  for (size_t i : {kXScale, kXZero}) {
    if (spec.has(kYScale) && spec.has(i) && spec.constant(i) == nullptr)
      return Support::no("parameters of the run");
  }
  for (const TensorSpec* t : {&spec.inputs[kX], &spec.inputs[kW], &spec.outputs[0]}) {
    if (element_count(t->dims) == 0) return Support::no("empty tensor");
  }
  return {};
}

Support supports_quantized_conv(const NodeSpec& spec) {
  if (Support s = supports_quantized_product(spec); !s.ok) return s;
  const size_t rank = spec.inputs[kX].dims.size();
  if (rank < 3 || rank > 5) return Support::no(cat("rank ", rank));
  if (spec.has(kZ) && (spec.inputs[kZ].dims != spec.outputs[0].dims ||
                       spec.inputs[kZ].dtype != spec.outputs[0].dtype))
    return Support::no("a sum of other bytes");
  const int64_t channels = spec.inputs[kW].dims[0];
  for (size_t i : {kWScale, kB}) {
    if (!spec.has(i)) continue;
    const int64_t count = spec.constant(i)->count();
    if (count != channels && (i == kB || count != 1)) return Support::no("not one a channel");
  }
  return {};
}

int32_t zero_point(const NodeSpec& spec, size_t input) {
  return spec.has(input) ? static_cast<int32_t>(spec.constant(input)->to_ints()[0]) : 0;
}

ChannelScales::ChannelScales(const NodeSpec& spec)
    : levels_(spec.has(kYScale)), factor_(1), scales_(spec.constant(kWScale)->to_doubles()) {
  if (const Tensor* scale = spec.constant(kXScale)) factor_ = scale->to_doubles()[0];
  if (spec.has(kB)) biases_ = spec.constant(kB)->to_doubles();
  if (!levels_) return;
  const double y_scale = spec.constant(kYScale)->to_doubles()[0];
  factor_ /= y_scale;
  for (double& bias : biases_) bias /= y_scale;
}

float ChannelScales::scale(size_t channel) const {
  return static_cast<float>(factor_ * scales_[scales_.size() == 1 ? 0 : channel]);
}

float ChannelScales::bias(size_t channel) const {
  return biases_.empty() ? 0 : static_cast<float>(biases_[channel]);
}

void ChannelScales::check(size_t channel, int32_t size) const {
  constexpr float kGreatest = 1 << 30;
  const float greatest = 255 * static_cast<float>(size) * std::abs(scale(channel));
  TREADLE_CHECK(!levels_ || greatest + std::abs(bias(channel)) < kGreatest, kUnsupported,
                "levels beyond what an integer holds");
}

}  // namespace treadle::cpu

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
    : levels_(spec.has(kYScale)), scales_(spec.constant(kWScale)->to_doubles()) {
  if (const Tensor* scale = spec.constant(kXScale)) x_scale_ = scale->data<float>()[0];
  if (levels_) y_scale_ = spec.constant(kYScale)->data<float>()[0];
  if (spec.has(kB)) biases_ = spec.constant(kB)->to_doubles();
}

ChannelTerms ChannelScales::terms(size_t channel, int32_t size) const {
  const auto w_scale = static_cast<float>(scales_[scales_.size() == 1 ? 0 : channel]);
  const float step = x_scale_.value_or(1) * w_scale;
  const double bias = biases_.empty() ? 0 : biases_[channel];
  const double sums = 255.0 * size;
  ChannelTerms terms{step / y_scale_, static_cast<float>(bias / y_scale_), 0};
  const double start = std::nearbyint(bias / step);
  constexpr double kRounded = 1.0 / (1 << 22);  // the bias and the step are rounded to floats
  const bool whole = std::abs(bias / step - start) <= kRounded * std::abs(start);
  if (x_scale_ && whole && std::abs(start) + sums < INT32_MAX) {
    terms.start = static_cast<int32_t>(start);
    terms.bias = 0;
  }
  constexpr double kGreatest = 1 << 30;
  const double greatest = (sums + std::abs(terms.start)) * std::abs(terms.scale);
  TREADLE_CHECK(!levels_ || greatest + std::abs(terms.bias) < kGreatest, kUnsupported,
                "levels beyond what an integer holds");
  return terms;
}

}  // namespace treadle::cpu

#include "backends/cpu/quantized_product.h"

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

}  // namespace treadle::cpu

#include "backends/cpu/native/conv_planes.h"

namespace treadle::cpu {

Planes planes_of(const ConvParams& p) {
  const size_t last = p.rank() - 1;
  const auto pair = [&](const Dims& d, int64_t otherwise) {
    return std::array<int64_t, 2>{p.rank() == 2 ? d[0] : otherwise, d[last]};
  };
  const auto x = pair(p.input, 1), y = pair(p.output, 1);
  return {.batch = p.batch,
          .in = p.in_channels,
          .out = p.out_channels,
          .height = x[0],
          .width = x[1],
          .rows = y[0],
          .columns = y[1],
          .kernel = pair(p.kernel, 1),
          .stride = pair(p.strides, 1),
          .dilation = pair(p.dilations, 1),
          .pad = pair(p.pads_begin, 0)};
}

Support supports_planes(const NodeSpec& spec) {
  for (const TensorSpec* t : {&spec.inputs[0], &spec.inputs[1], &spec.outputs[0]}) {
    if (t->dtype != DType::kFloat) return Support::no("not float");
    if (element_count(t->dims) == 0) return Support::no("nothing to compute");
  }
  const size_t rank = spec.inputs[0].dims.size();
  if (rank != 3 && rank != 4) return Support::no(cat("rank ", rank));
  if (spec.node->attributes.i("group", 1) != 1) return Support::no("groups");
  return {};
}

}  // namespace treadle::cpu

#include "backends/cpu/family.h"

namespace treadle::cpu {

Support supports_f32(const NodeSpec& spec) {
  for (const auto* list : {&spec.inputs, &spec.outputs}) {
    for (const TensorSpec& t : *list) {
      if (!t.present()) continue;
      if (t.dtype != DType::kFloat) return Support::no(cat("dtype ", dtype_name(t.dtype)));
      if (element_count(t.dims) == 0) return Support::no("empty tensor");
    }
  }
  return {};
}

}  // namespace treadle::cpu

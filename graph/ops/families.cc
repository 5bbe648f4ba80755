// THE list of operator families.
#include "graph/ops/families.h"

#include "graph/ops/op.h"

namespace treadle {

std::vector<std::span<const OpDef>> op_families() {
  return {
      identity_ops(),
      reshape_ops(),
      transpose_ops(),
      concat_ops(),
  };
}

}  // namespace treadle

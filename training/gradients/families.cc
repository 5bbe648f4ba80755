// THE list of families of gradient rules.
#include "training/gradients/families.h"

namespace treadle {

std::vector<std::span<const GradientDef>> gradient_families() {
  return {
      binary_gradients(),  matmul_gradients(), draw_gradients(),   index_gradients(),
      move_gradients(),    prefix_gradients(), reduce_gradients(), shape_gradients(),
      softmax_gradients(), unary_gradients(),
  };
}

}  // namespace treadle

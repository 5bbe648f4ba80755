// THE list of families of gradient rules.
#include "training/gradients/families.h"

namespace treadle {

std::vector<std::span<const GradientDef>> gradient_families() {
  return {
      attention_gradients(), binary_gradients(), classical_gradients(), col2im_gradients(),
      conv_gradients(),      det_gradients(),    draw_gradients(),      dropout_gradients(),
      einsum_gradients(),    if_gradients(),     index_gradients(),     loop_gradients(),
      loss_gradients(),      matmul_gradients(), move_gradients(),      norm_gradients(),
      pool_gradients(),      prefix_gradients(), quantize_gradients(),  recurrent_gradients(),
      reduce_gradients(),    resize_gradients(), roi_gradients(),       sample_gradients(),
      sequence_gradients(),  shape_gradients(),  signal_gradients(),    softmax_gradients(),
      stateful_gradients(),  unary_gradients(),
  };
}

}  // namespace treadle

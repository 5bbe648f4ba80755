// THE list of operator families.
#include "graph/ops/families.h"

#include "graph/ops/op.h"

namespace treadle {

std::vector<std::span<const OpDef>> op_families() {
  return {
      conv_ops(),
      einsum_ops(),
      along_axis_ops(),
      attention_ops(),
      binary_ops(),
      ml_ops(),
      ml_feature_ops(),
      norm_ops(),
      normalize_ops(),
      random_ops(),
      reduce_ops(),
      rotary_ops(),
      softmax_ops(),
      cast_ops(),
      fused_ops(),
      identity_ops(),
      concat_ops(),
      loss_ops(),
      matmul_ops(),
      pool_ops(),
      qlinear_ops(),
      quantize_ops(),
      quantized_lstm_ops(),
      microsoft_ops(),
      microsoft_attention_ops(),
      microsoft_cache_ops(),
      microsoft_fused_ops(),
      microsoft_norm_ops(),
      microsoft_tensor_ops(),
      microsoft_weights_ops(),
      recurrent_ops(),
      removed_ops(),
      reshape_ops(),
      resize_ops(),
      transpose_ops(),
      tree_ensemble_ops(),
      svm_ops(),
      unary_ops(),
      update_ops(),
      variadic_ops(),
      slice_ops(),
      pad_ops(),
      arrange_ops(),
      gather_ops(),
      scatter_ops(),
      select_ops(),
      control_ops(),
      sequence_ops(),
      string_ops(),
      generate_ops(),
      grid_sample_ops(),
  };
}

}  // namespace treadle

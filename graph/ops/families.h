// The families of rows, one function a file of this folder.
#pragma once

#include <span>
#include <vector>

namespace treadle {

struct OpDef;

std::vector<std::span<const OpDef>> op_families();  // families.cc

std::span<const OpDef> conv_ops();
std::span<const OpDef> einsum_ops();
std::span<const OpDef> along_axis_ops();
std::span<const OpDef> attention_ops();
std::span<const OpDef> binary_ops();
std::span<const OpDef> ml_ops();
std::span<const OpDef> ml_feature_ops();
std::span<const OpDef> norm_ops();
std::span<const OpDef> normalize_ops();
std::span<const OpDef> random_ops();
std::span<const OpDef> reduce_ops();
std::span<const OpDef> rotary_ops();
std::span<const OpDef> softmax_ops();
std::span<const OpDef> cast_ops();
std::span<const OpDef> fused_ops();
std::span<const OpDef> fused_attention_ops();
std::span<const OpDef> identity_ops();
std::span<const OpDef> loss_ops();
std::span<const OpDef> matmul_ops();
std::span<const OpDef> pool_ops();
std::span<const OpDef> qlinear_ops();
std::span<const OpDef> quantize_ops();
std::span<const OpDef> quantized_lstm_ops();
std::span<const OpDef> microsoft_ops();
std::span<const OpDef> microsoft_attention_ops();
std::span<const OpDef> microsoft_cache_ops();
std::span<const OpDef> microsoft_fused_ops();
std::span<const OpDef> microsoft_norm_ops();
std::span<const OpDef> microsoft_tensor_ops();
std::span<const OpDef> microsoft_weights_ops();
std::span<const OpDef> removed_ops();
std::span<const OpDef> recurrent_ops();
std::span<const OpDef> reshape_ops();
std::span<const OpDef> resize_ops();
std::span<const OpDef> transpose_ops();
std::span<const OpDef> concat_ops();
std::span<const OpDef> tree_ensemble_ops();
std::span<const OpDef> svm_ops();
std::span<const OpDef> sum_to_ops();
std::span<const OpDef> unary_ops();
std::span<const OpDef> update_ops();
std::span<const OpDef> variadic_ops();
std::span<const OpDef> slice_ops();
std::span<const OpDef> pad_ops();
std::span<const OpDef> arrange_ops();
std::span<const OpDef> gather_ops();
std::span<const OpDef> scatter_ops();
std::span<const OpDef> select_ops();
std::span<const OpDef> control_ops();
std::span<const OpDef> sequence_ops();
std::span<const OpDef> string_ops();
std::span<const OpDef> generate_ops();
std::span<const OpDef> grid_sample_ops();
std::span<const OpDef> dft_ops();
std::span<const OpDef> spectral_ops();
std::span<const OpDef> affine_grid_ops();
std::span<const OpDef> col2im_ops();
std::span<const OpDef> deform_conv_ops();
std::span<const OpDef> det_ops();
std::span<const OpDef> roi_ops();
std::span<const OpDef> non_max_suppression_ops();
std::span<const OpDef> linear_attention_ops();
std::span<const OpDef> flex_attention_ops();
std::span<const OpDef> tfidf_ops();
std::span<const OpDef> external_ops();

}  // namespace treadle

// The families of gradient rules; each is a file of this folder.
#pragma once

#include <span>
#include <vector>

#include "training/gradient.h"

namespace treadle {

std::vector<std::span<const GradientDef>> gradient_families();
// The rule of all added operators: a node of the operator that the row names as its gradient.
void differentiate_added(GradientContext& c);

std::span<const GradientDef> attention_gradients();
std::span<const GradientDef> binary_gradients();
std::span<const GradientDef> classical_gradients();
std::span<const GradientDef> col2im_gradients();
std::span<const GradientDef> conv_gradients();
std::span<const GradientDef> det_gradients();
std::span<const GradientDef> draw_gradients();
std::span<const GradientDef> dropout_gradients();
std::span<const GradientDef> einsum_gradients();
std::span<const GradientDef> if_gradients();
std::span<const GradientDef> index_gradients();
std::span<const GradientDef> loop_gradients();
std::span<const GradientDef> loss_gradients();
std::span<const GradientDef> matmul_gradients();
std::span<const GradientDef> move_gradients();
std::span<const GradientDef> norm_gradients();
std::span<const GradientDef> pool_gradients();
std::span<const GradientDef> prefix_gradients();
std::span<const GradientDef> quantize_gradients();
std::span<const GradientDef> recurrent_gradients();
std::span<const GradientDef> reduce_gradients();
std::span<const GradientDef> resize_gradients();
std::span<const GradientDef> roi_gradients();
std::span<const GradientDef> sample_gradients();
std::span<const GradientDef> sequence_gradients();
std::span<const GradientDef> shape_gradients();
std::span<const GradientDef> signal_gradients();
std::span<const GradientDef> softmax_gradients();
std::span<const GradientDef> stateful_gradients();
std::span<const GradientDef> unary_gradients();

}  // namespace treadle

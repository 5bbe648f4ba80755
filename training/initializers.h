// Initial values of parameters. Counter-based: element i of parameter `name` depends on the seed,
// the name and i only, never on the order in which parameters are made.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "graph/base/tensor.h"

namespace treadle {

// Variances of n_in inputs and n_out outputs of a unit.
struct InitializerOptions {
  // "xavier":      normal of variance 2/(n_in + n_out) (Glorot)
  // "xavier_uniform": the same variance, uniform
  // "he":          normal of variance 2/n_in (PyTorch's and Keras's; Caffe's FAN_IN)
  // "he_uniform":  the same variance, uniform
  // "he_average":  normal of variance 4/(n_in + n_out) (Caffe's AVERAGE)
  // "he_out":      normal of variance 2/n_out (Caffe's FAN_OUT)
  // "normal":      of `mean` and `deviation`; "uniform": in [low, high); "constant": `value`
  // "orthogonal":  the matrix [dim 0, the others] has orthonormal rows or columns, times `gain`
  std::string kind = "he";
  double mean = 0, deviation = 0.01;
  double low = -0.05, high = 0.05;
  double value = 0;
  double gain = 1;  // of orthogonal, and a factor of the deviation of xavier and he
  // Of a matrix [in, out] as MatMul takes it, instead of [out, in, window…].
  bool in_first = false;
};

std::vector<std::string> initializer_kinds();
// kInvalidArgument: an unknown kind (with the close match), or dims of rank < 2 where fans count.
Tensor initial_values(const InitializerOptions& options, DType dtype, const Dims& dims,
                      uint64_t seed, std::string_view name);

}  // namespace treadle

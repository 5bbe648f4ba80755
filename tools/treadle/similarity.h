// How alike two tensors of numbers are as wholes, beside their largest difference (difference.h).
#pragma once

#include <optional>

#include "graph/base/tensor.h"

namespace treadle::tool {

// Elements that are not finite and equal in both are left out; others that are not finite make the
// figures NaN or infinite.
struct Similarity {
  double mean_absolute = 0;
  double cosine = 1;  // of the two as vectors; 0 where only one of them is all zero
  double psnr = 0;  // decibels, the peak being the largest magnitude of `want`; infinite when equal
};
// Nothing for what are not tensors of numbers of the same dtype and dims.
std::optional<Similarity> similarity(const Value& got, const Value& want);

// How |got − want| exceeds its tolerance atol + rtol·|want| (rtol counts for floats only): by the
// mean over the elements, or at a quantile of them (0.5: the median). Not above 0 is within it. Of
// values that have a similarity.
double mean_excess(const Tensor& got, const Tensor& want, double rtol, double atol);
double quantile_excess(const Tensor& got, const Tensor& want, double rtol, double atol,
                       double quantile);

}  // namespace treadle::tool

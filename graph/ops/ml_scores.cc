#include "graph/ops/ml_scores.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace treadle {
namespace {

double logistic(double x) { return x < 0 ? 1 - 1 / (1 + std::exp(x)) : 1 / (1 + std::exp(-x)); }

// Winitzki's approximation, which is what the operators' first implementation uses.
double inverse_erf(double x) {
  const double log = std::log((1 - x) * (1 + x));
  const double v = 2 / (std::numbers::pi * 0.147) + 0.5 * log;
  return std::copysign(std::sqrt(-v + std::sqrt(v * v - log / 0.147)), x);
}
double probit(double x) { return std::numbers::sqrt2 * inverse_erf(2 * x - 1); }

void softmax(std::span<double> scores, bool keep_zeros) {
  if (scores.empty()) return;
  const double most = *std::max_element(scores.begin(), scores.end());
  double sum = 0;
  for (double& s : scores) {
    s = keep_zeros && std::fabs(s) <= 1e-7 ? s * std::exp(-most) : std::exp(s - most);
    sum += s;
  }
  if (sum == 0) return;
  for (double& s : scores) s /= sum;
}

}  // namespace

void post_transform(std::span<double> scores, const std::string& name) {
  if (name == "NONE") return;
  if (name == "SOFTMAX" || name == "SOFTMAX_ZERO") return softmax(scores, name == "SOFTMAX_ZERO");
  TREADLE_CHECK(name == "LOGISTIC" || name == "PROBIT", kInvalidModel, "unknown post_transform '",
                name, "'");
  for (double& s : scores) s = name == "LOGISTIC" ? logistic(s) : probit(s);
}

void ClassLabels::put(Tensor& labels, size_t row, size_t chosen) const {
  if (!strings.empty()) {
    labels.data<std::string>()[row] = chosen < strings.size() ? strings[chosen] : "";
  } else {
    labels.data<int64_t>()[row] = number(chosen);
  }
}

ClassLabels class_labels(const Attributes& attributes, const char* ints, const char* strings) {
  return {attributes.ints(ints), attributes.strings(strings)};
}

std::pair<int64_t, int64_t> rows_and_columns(const Dims& dims) {
  TREADLE_CHECK(dims.size() == 1 || dims.size() == 2, kInvalidArgument,
                "expected a vector or matrix, got ", shape_text(dims));
  return dims.size() == 1 ? std::pair<int64_t, int64_t>{1, dims[0]}
                          : std::pair<int64_t, int64_t>{dims[0], dims[1]};
}

}  // namespace treadle

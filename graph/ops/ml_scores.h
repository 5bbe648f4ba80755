// What the ai.onnx.ml classifiers and regressors share: class labels and the transforms of scores.
#pragma once

#include <span>
#include <vector>

#include "graph/ops/op.h"

namespace treadle {

// NONE, SOFTMAX, LOGISTIC, SOFTMAX_ZERO, PROBIT; kInvalidModel for another name.
void post_transform(std::span<double> scores, const std::string& name);

// The labels of a classifier, from two attributes of which one is given.
struct ClassLabels {
  std::vector<int64_t> ints;
  std::vector<std::string> strings;
  size_t count() const { return std::max(ints.size(), strings.size()); }
  DType dtype() const { return strings.empty() ? DType::kInt64 : DType::kString; }
  // Of a class; without labels the class itself.
  int64_t number(size_t chosen) const {
    return chosen < ints.size() ? ints[chosen] : static_cast<int64_t>(chosen);
  }
  // labels[row] = that of the class.
  void put(Tensor& labels, size_t row, size_t chosen) const;
};
ClassLabels class_labels(const Attributes& attributes, const char* ints, const char* strings);

// [rows, columns] of a matrix; a vector is one row.
std::pair<int64_t, int64_t> rows_and_columns(const Dims& dims);

}  // namespace treadle

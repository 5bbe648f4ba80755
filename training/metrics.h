// Metrics over samples, gathered batch by batch: the result is that of all samples at once, however
// they were divided.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "graph/base/tensor.h"

namespace treadle {

using NamedNumbers = std::vector<std::pair<std::string, double>>;

struct MetricOptions {
  int64_t classes = 0;  // 0: the target is numbers
  int64_t top = 5;      // top-k accuracy is told where there are more classes than this
  std::optional<int64_t> ignore_index = std::nullopt;
  bool each_iou = false;  // tell iou_0, iou_1, … of the classes too
};

// Of classes: outputs [N, C, …] of any scores and int64 targets [N, …]; of two classes also outputs
// [N] or [N, 1, …] that are above 0 for class 1. The greatest score is the prediction (of equal
// ones the first); where a score is NaN there is none, and the sample counts as wrong.
// Of numbers: outputs and targets of equal count.
class Metrics {
 public:
  explicit Metrics(const MetricOptions& options);

  // kInvalidData where shapes do not fit, or a target is no class.
  void add(const Tensor& output, const Tensor& target);

  // accuracy, top<k>; precision, recall, f1 and iou, each the mean over the classes that occur (in
  // targets or predictions; f1 and iou of a class are 0 where nothing was right); auc (two classes:
  // the chance that a sample of class 1 has the higher score of it, ties half; NaN where a class
  // lacks; up to 10 million samples). Of numbers: mae, rmse, r2 (1 - error²/variance; NaN where the
  // targets are all equal).
  NamedNumbers values() const;
  // The value of a name; nothing where there is none.
  std::optional<double> value(const std::string& name) const;

  int64_t samples() const { return samples_; }
  // Counts [target · classes + prediction]; empty above 1,000 classes.
  const std::vector<int64_t>& confusion() const { return confusion_; }
  double precision(int64_t c) const;  // of those predicted, the share that was right; else 0
  double recall(int64_t c) const;     // of those that are, the share that was found; else 0
  double f1(int64_t c) const;
  double iou(int64_t c) const;

 private:
  void add_classes(const Tensor& output, const Tensor& target);
  void add_one(int64_t label, const std::vector<double>& scores);
  void add_numbers(const Tensor& output, const Tensor& target);
  NamedNumbers class_values() const;
  NamedNumbers number_values() const;
  double auc() const;
  int64_t right(int64_t c) const { return right_[static_cast<size_t>(c)]; }
  int64_t labelled(int64_t c) const { return labels_[static_cast<size_t>(c)]; }
  int64_t predicted(int64_t c) const { return predicted_[static_cast<size_t>(c)]; }

  MetricOptions options_;
  int64_t samples_ = 0;
  std::vector<int64_t> confusion_;
  // Of each class: samples, those without a prediction too; predictions; those that were right.
  std::vector<int64_t> labels_, predicted_, right_;
  int64_t in_top_ = 0;
  struct Scored {
    double score;
    bool positive;
  };
  std::vector<Scored> scored_;  // of two classes
  // Of numbers: sums, and the moments of the targets by Welford's method.
  double absolute_ = 0, square_ = 0, mean_ = 0, spread_ = 0;
};

}  // namespace treadle

#include "training/metrics.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "graph/base/error.h"

namespace treadle {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr int64_t kMostInMatrix = 1000;
constexpr int64_t kMostScored = 10'000'000;

double ratio(int64_t part, int64_t whole) {
  return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}

}  // namespace

Metrics::Metrics(const MetricOptions& options) : options_(options) {
  TREADLE_CHECK(options.classes >= 0 && options.classes <= 10'000'000 && options.top > 0,
                kInvalidArgument, "metrics of ", options.classes, " classes, top ", options.top);
  const auto n = static_cast<size_t>(options.classes);

  labels_.resize(n);
  right_.resize(n);
  predicted_.resize(n);
  if (options.classes <= kMostInMatrix) confusion_.resize(n * n);
}

void Metrics::add(const Tensor& output, const Tensor& target) {
  if (options_.classes > 0) {
    add_classes(output, target);
  } else {
    add_numbers(output, target);
  }
}

void Metrics::add_classes(const Tensor& output, const Tensor& target) {
  const std::vector<int64_t> labels = target.to_ints();
  const std::vector<double> scores = output.to_doubles();
  const auto count = static_cast<int64_t>(labels.size());
  if (count == 0) return;
  const int64_t columns = output.count() / count;
  const bool one = columns == 1 && options_.classes == 2;
  const bool whole = output.rank() > 0 && output.dim(0) > 0 && count % output.dim(0) == 0;
  TREADLE_CHECK(whole && output.count() == count * columns && (one || columns == options_.classes),
                kInvalidData, "scores of shape ", shape_text(output.dims()), " for ", count,
                " targets of ", options_.classes, " classes");
  // [N, C, inner…]: the positions of a sample lie behind its scores of a class.
  const int64_t inner = output.rank() < 2 ? 1 : count / output.dim(0);
  std::vector<double> row(static_cast<size_t>(options_.classes), 0.0);
  for (int64_t i = 0; i < count; ++i) {
    const int64_t at = i / inner * inner * columns + i % inner;
    for (int64_t c = 0; c < columns; ++c)
      row[static_cast<size_t>(one ? 1 : c)] = scores[static_cast<size_t>(at + c * inner)];
    const int64_t label = labels[static_cast<size_t>(i)];
    if (label != options_.ignore_index) add_one(label, row);
  }
}

void Metrics::add_one(int64_t label, const std::vector<double>& scores) {
  TREADLE_CHECK(label >= 0 && label < options_.classes, kInvalidData, "a target of ", label,
                ", expected one of ", options_.classes, " classes");
  ++samples_;
  ++labels_[static_cast<size_t>(label)];
  if (options_.classes == 2 && samples_ <= kMostScored)
    scored_.push_back({scores[1] - scores[0], label == 1});
  if (std::any_of(scores.begin(), scores.end(), [](double s) { return std::isnan(s); })) return;
  const auto best = std::max_element(scores.begin(), scores.end()) - scores.begin();
  ++predicted_[static_cast<size_t>(best)];
  right_[static_cast<size_t>(label)] += best == label ? 1 : 0;
  if (!confusion_.empty()) ++confusion_[static_cast<size_t>(label * options_.classes + best)];
  const double mine = scores[static_cast<size_t>(label)];
  int64_t before = 0;
  for (int64_t c = 0; c < options_.classes; ++c) {
    const double other = scores[static_cast<size_t>(c)];
    before += other > mine || (other == mine && c < label) ? 1 : 0;
  }
  in_top_ += before < options_.top ? 1 : 0;
}

void Metrics::add_numbers(const Tensor& output, const Tensor& target) {
  const std::vector<double> x = output.to_doubles(), t = target.to_doubles();
  TREADLE_CHECK(x.size() == t.size(), kInvalidData, "outputs of shape ", shape_text(output.dims()),
                " for targets of ", shape_text(target.dims()));
  for (size_t i = 0; i < x.size(); ++i) {
    ++samples_;
    const double error = x[i] - t[i], step = t[i] - mean_;
    absolute_ += std::abs(error);
    square_ += error * error;
    mean_ += step / static_cast<double>(samples_);
    spread_ += step * (t[i] - mean_);
  }
}

NamedNumbers Metrics::values() const {
  return options_.classes > 0 ? class_values() : number_values();
}

std::optional<double> Metrics::value(const std::string& name) const {
  for (const auto& [key, number] : values()) {
    if (key == name) return number;
  }
  return std::nullopt;
}

NamedNumbers Metrics::class_values() const {
  double p = 0, r = 0, f = 0, i = 0;
  int64_t all_right = 0, present = 0;
  for (int64_t c = 0; c < options_.classes; ++c) {
    all_right += right(c);
    if (labelled(c) == 0 && predicted(c) == 0) continue;
    ++present;
    p += precision(c);
    r += recall(c);
    f += f1(c);
    i += iou(c);
  }
  const double n = static_cast<double>(std::max<int64_t>(present, 1));
  NamedNumbers out = {{"accuracy", ratio(all_right, samples_)}};
  if (options_.classes > options_.top)
    out.emplace_back(cat("top", options_.top), ratio(in_top_, samples_));
  out.insert(out.end(), {{"precision", p / n}, {"recall", r / n}, {"f1", f / n}, {"iou", i / n}});
  if (options_.classes == 2 && samples_ <= kMostScored) out.emplace_back("auc", auc());
  for (int64_t c = 0; options_.each_iou && c < options_.classes; ++c)
    out.emplace_back(cat("iou_", c), iou(c));
  return out;
}

NamedNumbers Metrics::number_values() const {
  const double n = static_cast<double>(samples_);
  return {{"mae", samples_ == 0 ? kNaN : absolute_ / n},
          {"rmse", samples_ == 0 ? kNaN : std::sqrt(square_ / n)},
          {"r2", spread_ == 0 ? kNaN : 1 - square_ / spread_}};
}

double Metrics::precision(int64_t c) const { return ratio(right(c), predicted(c)); }
double Metrics::recall(int64_t c) const { return ratio(right(c), labelled(c)); }
double Metrics::f1(int64_t c) const { return ratio(2 * right(c), predicted(c) + labelled(c)); }
double Metrics::iou(int64_t c) const {
  return ratio(right(c), predicted(c) + labelled(c) - right(c));
}

// The Mann-Whitney statistic by ranks, equal scores sharing the mean of theirs.
double Metrics::auc() const {
  std::vector<Scored> order;
  for (const Scored& s : scored_) {
    if (!std::isnan(s.score)) order.push_back(s);
  }
  std::sort(order.begin(), order.end(),
            [](const Scored& a, const Scored& b) { return a.score < b.score; });
  double ranks = 0, positives = 0;
  for (size_t begin = 0, end = 0; begin < order.size(); begin = end) {
    while (end < order.size() && order[end].score == order[begin].score) ++end;
    const double rank = static_cast<double>(begin + end + 1) / 2;  // from 1
    for (size_t i = begin; i < end; ++i) {
      if (!order[i].positive) continue;
      ranks += rank;
      ++positives;
    }
  }
  const double negatives = static_cast<double>(order.size()) - positives;
  if (positives == 0 || negatives == 0) return kNaN;
  return (ranks - positives * (positives + 1) / 2) / (positives * negatives);
}

}  // namespace treadle

// The operators TreeEnsemble* in one checked form, and how the votes of their trees become scores.
#pragma once

#include "graph/ops/forest.h"
#include "graph/ops/ml_scores.h"

namespace treadle {

enum class Join : uint8_t { kAverage, kSum, kMin, kMax };

struct TreeEnsemble {
  Forest forest;
  int64_t targets = 0;  // scores of a row: classes, or numbers
  std::vector<double> base;
  Join join = Join::kSum;
  std::string transform;
  // Of TreeEnsembleClassifier:
  bool classifier = false;
  ClassLabels labels;
  bool single = false;        // two classes, but votes for one id only: a score for "positive"
  bool all_positive = false;  // no weight is negative: such scores are probabilities
};

// kInvalidModel where the attributes contradict each other.
TreeEnsemble read_tree_ensemble(const Node& node);

// Adds a vote to its target's score; `seen` is of the target too. Both start as 0.
inline void join_vote(Join join, double weight, double& score, uint8_t& seen) {
  if (join == Join::kAverage || join == Join::kSum) {
    score += weight;
    return;
  }
  const double both = join == Join::kMin ? std::min(score, weight) : std::max(score, weight);
  score = seen != 0 ? both : weight;
  seen = 1;
}

// From the joined votes of a row to what its scores are; gives the class of the best.
size_t finish_scores(const TreeEnsemble& ensemble, std::span<double> scores);

}  // namespace treadle

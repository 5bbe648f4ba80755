// Decision trees as the operators TreeEnsemble* give them, in one checked form.
#pragma once

#include <span>
#include <vector>

#include "graph/attributes.h"

namespace treadle {

enum class Branch : uint8_t {
  kLessOrEqual,
  kLess,
  kGreaterOrEqual,
  kGreater,
  kEqual,
  kNotEqual,
  kMember,
  kLeaf
};

struct TreeNode {
  Branch branch = Branch::kLeaf;
  bool nan_is_true = false;
  int64_t feature = 0;
  double threshold = 0;
  size_t yes = 0;  // index of the next node
  size_t no = 0;
  size_t votes_begin = 0;  // a leaf's, in Forest::votes; of kMember: its set, in Forest::members
  size_t votes_end = 0;
};
struct Vote {
  int64_t target = 0;
  double weight = 0;
};
struct Forest {
  std::vector<TreeNode> nodes;
  std::vector<size_t> roots;
  std::vector<Vote> votes;
  std::vector<double> members;
  int64_t features = 0;  // columns that an input must have

  // The leaf that a row reaches in one tree. kInvalidModel where the nodes form a cycle.
  const TreeNode& leaf(size_t root, const double* row) const;
  std::span<const Vote> votes_of(const TreeNode& leaf) const {
    return {votes.data() + leaf.votes_begin, votes.data() + leaf.votes_end};
  }
};

// Of TreeEnsembleClassifier ("class_") and TreeEnsembleRegressor ("target_"): nodes_* and
// <prefix>ids, weights….
Forest forest_by_node_ids(const Attributes& attributes, const std::string& prefix, int64_t targets);
// Of TreeEnsemble.
Forest forest_by_leaves(const Attributes& attributes, int64_t targets);

}  // namespace treadle

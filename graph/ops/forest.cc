#include "graph/ops/forest.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>

namespace treadle {
namespace {

constexpr std::array<std::string_view, 8> kBranchNames = {
    "BRANCH_LEQ", "BRANCH_LT",  "BRANCH_GTE",    "BRANCH_GT",
    "BRANCH_EQ",  "BRANCH_NEQ", "BRANCH_MEMBER", "LEAF"};

Branch branch_named(const std::string& name) {
  const auto at = std::ranges::find(kBranchNames, name);
  TREADLE_CHECK(at != kBranchNames.end(), kInvalidModel, "unknown node mode '", name, "'");
  return static_cast<Branch>(at - kBranchNames.begin());
}

// A list attribute where it lies: these are long.
template <class T>
std::span<const T> list_of(const Attributes& a, std::string_view name) {
  const Attribute* found = a.find(name);
  const auto* list = found == nullptr ? nullptr : std::get_if<std::vector<T>>(found);
  return list == nullptr ? std::span<const T>() : std::span<const T>(*list);
}
std::span<const int64_t> ints(const Attributes& a, std::string_view name) {
  return list_of<int64_t>(a, name);
}

// A list attribute of floats, or its "_as_tensor" form.
std::vector<double> numbers(const Attributes& a, const std::string& name) {
  if (const Tensor* t = a.tensor(name + "_as_tensor")) return t->to_doubles();
  const auto floats = list_of<float>(a, name);
  return {floats.begin(), floats.end()};
}

void check_length(const auto& list, size_t expected, std::string_view name) {
  TREADLE_CHECK(list.size() == expected, kInvalidModel, "attribute '", name, "' has ", list.size(),
                " elements, expected ", expected);
}

size_t checked_index(int64_t i, size_t size, std::string_view name) {
  TREADLE_CHECK(i >= 0 && static_cast<size_t>(i) < size, kInvalidModel, "attribute '", name,
                "' holds ", i, ", expected 0 to ", size, " (exclusive)");
  return static_cast<size_t>(i);
}

// Where the nodes of a list lie, by tree and id.
class NodeIndex {
 public:
  NodeIndex(std::span<const int64_t> trees, std::span<const int64_t> ids) {
    entries_.reserve(trees.size());
    for (size_t i = 0; i < trees.size(); ++i) entries_.push_back({trees[i], ids[i], i});
    if (!std::ranges::is_sorted(entries_)) std::ranges::sort(entries_);
    const auto twice = std::ranges::adjacent_find(
        entries_, [](const Entry& a, const Entry& b) { return a.names(b); });
    TREADLE_CHECK(twice == entries_.end(), kInvalidModel, "tree ", twice->tree, " has two nodes ",
                  twice->id);
  }

  // `near`: the position of a node of the same tree, from which ids mostly count on.
  size_t at(int64_t tree, int64_t id, size_t near = 0) const {
    const Entry wanted{tree, id, 0};
    if (near < entries_.size()) {
      const size_t guess = near + static_cast<size_t>(id) - static_cast<size_t>(entries_[near].id);
      if (guess < entries_.size() && entries_[guess].names(wanted)) return entries_[guess].position;
    }
    const auto found = std::ranges::lower_bound(entries_, wanted);
    TREADLE_CHECK(found != entries_.end() && found->names(wanted), kInvalidModel, "tree ", tree,
                  " has no node ", id);
    return found->position;
  }

  // Of each tree the node that is listed first.
  std::vector<size_t> roots() const {
    std::vector<size_t> roots;
    for (size_t i = 0; i < entries_.size(); ++i) {
      if (i == 0 || entries_[i].tree != entries_[i - 1].tree) roots.push_back(entries_[i].position);
      roots.back() = std::min(roots.back(), entries_[i].position);
    }
    return roots;
  }

 private:
  struct Entry {
    int64_t tree;
    int64_t id;
    size_t position;
    bool names(const Entry& other) const { return tree == other.tree && id == other.id; }
    auto operator<=>(const Entry&) const = default;
  };
  std::vector<Entry> entries_;
};

// Votes lie in the order of their leaves; those of one leaf in the order of the attribute.
void add_votes(Forest& forest, std::vector<std::pair<size_t, Vote>> votes) {
  auto before = [](const auto& a, const auto& b) { return a.first < b.first; };
  if (!std::ranges::is_sorted(votes, before)) std::ranges::stable_sort(votes, before);
  forest.votes.reserve(votes.size());
  for (size_t i = 0; i < votes.size(); ++i) {
    TreeNode& leaf = forest.nodes[votes[i].first];
    if (i == 0 || votes[i - 1].first != votes[i].first) leaf.votes_begin = i;
    leaf.votes_end = i + 1;
    forest.votes.push_back(votes[i].second);
  }
}

bool goes_yes(const Forest& f, const TreeNode& n, double x) {
  switch (n.branch) {
    case Branch::kLessOrEqual: return x <= n.threshold;
    case Branch::kLess: return x < n.threshold;
    case Branch::kGreaterOrEqual: return x >= n.threshold;
    case Branch::kGreater: return x > n.threshold;
    case Branch::kEqual: return x == n.threshold;
    case Branch::kNotEqual: return x != n.threshold;
    default: break;
  }
  const auto begin = f.members.begin();
  const auto end = begin + static_cast<ptrdiff_t>(n.votes_end);
  return std::find(begin + static_cast<ptrdiff_t>(n.votes_begin), end, x) != end;
}

}  // namespace

const TreeNode& Forest::leaf(size_t root, const double* row) const {
  const TreeNode* n = &nodes[root];
  for (size_t steps = 0; n->branch != Branch::kLeaf; ++steps) {
    TREADLE_CHECK(steps < nodes.size(), kInvalidModel, "the nodes of a tree form a cycle");
    const double x = row[n->feature];
    n = &nodes[(std::isnan(x) ? n->nan_is_true : goes_yes(*this, *n, x)) ? n->yes : n->no];
  }
  return *n;
}

Forest forest_by_node_ids(const Attributes& a, const std::string& prefix, int64_t targets) {
  const auto trees = ints(a, "nodes_treeids");
  const auto ids = ints(a, "nodes_nodeids");
  const auto features = ints(a, "nodes_featureids");
  const auto yes = ints(a, "nodes_truenodeids");
  const auto no = ints(a, "nodes_falsenodeids");
  const auto modes = list_of<std::string>(a, "nodes_modes");
  const auto values = numbers(a, "nodes_values");
  const auto missing = ints(a, "nodes_missing_value_tracks_true");
  const size_t count = trees.size();
  check_length(ids, count, "nodes_nodeids");
  check_length(features, count, "nodes_featureids");
  check_length(yes, count, "nodes_truenodeids");
  check_length(no, count, "nodes_falsenodeids");
  check_length(modes, count, "nodes_modes");
  check_length(values, count, "nodes_values");
  if (!missing.empty()) check_length(missing, count, "nodes_missing_value_tracks_true");

  Forest forest;
  const NodeIndex index(trees, ids);
  forest.roots = index.roots();
  forest.nodes.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    TreeNode n{.branch = branch_named(modes[i])};
    if (n.branch != Branch::kLeaf) {
      TREADLE_CHECK(n.branch != Branch::kMember, kInvalidModel,
                    "BRANCH_MEMBER is a mode of TreeEnsemble only");
      TREADLE_CHECK(features[i] >= 0, kInvalidModel, "negative feature ", features[i]);
      n.nan_is_true = !missing.empty() && missing[i] != 0;
      n.feature = features[i];
      n.threshold = values[i];
      n.yes = index.at(trees[i], yes[i], i);
      n.no = index.at(trees[i], no[i], i);
      forest.features = std::max(forest.features, checked_add(n.feature, 1));
    }
    forest.nodes.push_back(n);
  }
  const auto vote_trees = ints(a, prefix + "treeids");
  const auto vote_nodes = ints(a, prefix + "nodeids");
  const auto vote_targets = ints(a, prefix + "ids");
  const auto weights = numbers(a, prefix + "weights");
  check_length(vote_nodes, vote_trees.size(), prefix + "nodeids");
  check_length(vote_targets, vote_trees.size(), prefix + "ids");
  check_length(weights, vote_trees.size(), prefix + "weights");
  const std::string prefix_ids = prefix + "ids";
  std::vector<std::pair<size_t, Vote>> votes;
  votes.reserve(weights.size());
  size_t node = 0;
  for (size_t i = 0; i < weights.size(); ++i) {
    checked_index(vote_targets[i], static_cast<size_t>(targets), prefix_ids);
    node = index.at(vote_trees[i], vote_nodes[i], node);
    votes.emplace_back(node, Vote{vote_targets[i], weights[i]});
  }
  add_votes(forest, std::move(votes));
  return forest;
}

Forest forest_by_leaves(const Attributes& a, int64_t targets) {
  const Tensor* mode_tensor = a.tensor("nodes_modes");
  const Tensor* split_tensor = a.tensor("nodes_splits");
  const Tensor* weight_tensor = a.tensor("leaf_weights");
  TREADLE_CHECK(mode_tensor != nullptr && split_tensor != nullptr && weight_tensor != nullptr,
                kInvalidModel, "nodes_modes, nodes_splits and leaf_weights are required");
  const std::vector<int64_t> modes = mode_tensor->to_ints();
  const std::vector<double> splits = split_tensor->to_doubles();
  const std::vector<double> weights = weight_tensor->to_doubles();
  const auto features = ints(a, "nodes_featureids");
  const auto yes = ints(a, "nodes_truenodeids");
  const auto no = ints(a, "nodes_falsenodeids");
  const auto yes_is_leaf = ints(a, "nodes_trueleafs");
  const auto no_is_leaf = ints(a, "nodes_falseleafs");
  const auto leaf_targets = ints(a, "leaf_targetids");
  const auto missing = ints(a, "nodes_missing_value_tracks_true");
  const size_t count = modes.size();
  check_length(splits, count, "nodes_splits");
  check_length(features, count, "nodes_featureids");
  check_length(yes, count, "nodes_truenodeids");
  check_length(no, count, "nodes_falsenodeids");
  check_length(yes_is_leaf, count, "nodes_trueleafs");
  check_length(no_is_leaf, count, "nodes_falseleafs");
  check_length(leaf_targets, weights.size(), "leaf_targetids");
  if (!missing.empty()) check_length(missing, count, "nodes_missing_value_tracks_true");

  Forest forest;
  if (const Tensor* members = a.tensor("membership_values")) forest.members = members->to_doubles();
  size_t member = 0;
  auto next = [&](int64_t id, bool leaf) {  // the leaves follow the nodes
    return leaf ? count + checked_index(id, weights.size(), "leaf id")
                : checked_index(id, count, "node id");
  };
  for (size_t i = 0; i < count; ++i) {
    TREADLE_CHECK(features[i] >= 0, kInvalidModel, "negative feature ", features[i]);
    TreeNode n{.branch = static_cast<Branch>(checked_index(modes[i], 7, "nodes_modes")),
               .nan_is_true = !missing.empty() && missing[i] != 0,
               .feature = features[i],
               .threshold = splits[i],
               .yes = next(yes[i], yes_is_leaf[i] != 0),
               .no = next(no[i], no_is_leaf[i] != 0)};
    if (n.branch == Branch::kMember) {  // sets are delimited by NaN
      n.votes_begin = member;
      while (member < forest.members.size() && !std::isnan(forest.members[member])) ++member;
      n.votes_end = member;
      member = std::min(member + 1, forest.members.size());
    }
    forest.features = std::max(forest.features, checked_add(n.feature, 1));
    forest.nodes.push_back(n);
  }
  for (size_t i = 0; i < weights.size(); ++i) {
    checked_index(leaf_targets[i], static_cast<size_t>(targets), "leaf_targetids");
    forest.votes.push_back({leaf_targets[i], weights[i]});
    forest.nodes.push_back({.votes_begin = i, .votes_end = i + 1});
  }
  for (int64_t root : ints(a, "tree_roots"))
    forest.roots.push_back(checked_index(root, count, "tree_roots"));
  return forest;
}

}  // namespace treadle

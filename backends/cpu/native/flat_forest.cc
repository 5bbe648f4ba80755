#include "backends/cpu/native/flat_forest.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace treadle::cpu {
namespace {

constexpr int64_t kMostFeatures = int64_t{1} << 28;  // in FlatNode::question
constexpr size_t kMostNodes = std::numeric_limits<uint32_t>::max();

// Bits of FlatNode::question for numbers: 2 is "less", 4 "greater", 8 "equal".
uint32_t outcomes(Branch branch) {
  switch (branch) {
    case Branch::kLessOrEqual: return 2 | 8;
    case Branch::kLess: return 2;
    case Branch::kGreaterOrEqual: return 4 | 8;
    case Branch::kGreater: return 4;
    case Branch::kEqual:
    case Branch::kMember: return 8;
    case Branch::kNotEqual: return 2 | 4;
    case Branch::kLeaf: break;
  }
  return 0;
}

// The nodes that a walk may reach form no cycle.
bool acyclic(const Forest& forest) {
  enum class State : uint8_t { kNew, kOpen, kDone };
  std::vector<State> states(forest.nodes.size(), State::kNew);
  std::vector<size_t> stack;
  for (const size_t root : forest.roots) {
    stack.push_back(root);
    while (!stack.empty()) {
      const size_t at = stack.back();
      const TreeNode& n = forest.nodes[at];
      if (states[at] != State::kNew || n.branch == Branch::kLeaf) {
        states[at] = State::kDone;
        stack.pop_back();
        continue;
      }
      states[at] = State::kOpen;
      for (const size_t next : {n.yes, n.no}) {
        if (states[next] == State::kOpen) return false;
        if (states[next] == State::kNew) stack.push_back(next);
      }
    }
  }
  return true;
}

template <class T>
class Flattening {
 public:
  explicit Flattening(const Forest& forest) : forest_(forest) {}

  FlatForest<T> run() {
    flat_.nodes.resize(forest_.nodes.size());
    flat_.ranges.reserve(forest_.nodes.size());
    for (uint32_t i = 0; i < forest_.nodes.size(); ++i) {
      const TreeNode& n = forest_.nodes[i];
      const bool leaf = n.branch == Branch::kLeaf;
      flat_.ranges.push_back({leaf ? index(n.votes_begin) : 0, leaf ? index(n.votes_end) : 0});
      if (leaf)
        flat_.nodes[i].next = {i, i};
      else if (n.branch == Branch::kMember)
        add_set(i, n);
      else
        flat_.nodes[i] = node(n, n.threshold);
    }
    for (const size_t root : forest_.roots) flat_.roots.push_back(index(root));
    return std::move(flat_);
  }

 private:
  static uint32_t index(size_t i) {
    TREADLE_CHECK(i < kMostNodes, kUnsupported, "too many nodes of trees");
    return static_cast<uint32_t>(i);
  }

  static FlatNode<T> node(const TreeNode& n, double threshold) {
    FlatNode<T> flat{.threshold = static_cast<T>(threshold)};
    uint32_t when = outcomes(n.branch);
    flat.next = {index(n.no), index(n.yes)};
    if (std::isnan(threshold)) {  // no number is less, greater or equal
      flat.threshold = 0;
      when = n.branch == Branch::kNotEqual ? 2 | 4 | 8 : 0;
    }
    flat.question = static_cast<uint32_t>(n.feature) << 4 | when | (n.nan_is_true ? 1U : 0U);
    return flat;
  }

  // Node i asks for the first member; the others follow, each where the one before says no.
  void add_set(uint32_t i, const TreeNode& n) {
    flat_.nodes[i] = node(n, std::numeric_limits<double>::quiet_NaN());
    for (size_t m = n.votes_begin; m < n.votes_end; ++m) {
      const auto next = m == n.votes_begin ? i : index(flat_.nodes.size());
      if (next != i) {
        flat_.nodes[last_].next[0] = next;
        flat_.nodes.emplace_back();
      }
      flat_.nodes[next] = node(n, forest_.members[m]);
      last_ = next;
    }
  }

  const Forest& forest_;
  FlatForest<T> flat_;
  uint32_t last_ = 0;  // of the set
};

}  // namespace

bool exact_as_floats(const Forest& forest) {
  auto exact = [](double x) {
    return std::isnan(x) || static_cast<double>(static_cast<float>(x)) == x;
  };
  return std::ranges::all_of(forest.nodes, exact, &TreeNode::threshold) &&
         std::ranges::all_of(forest.members, exact);
}

template <class T>
FlatForest<T> flatten(const Forest& forest) {
  TREADLE_CHECK(forest.features <= kMostFeatures, kUnsupported, "trees read feature ",
                forest.features);
  TREADLE_CHECK(acyclic(forest), kUnsupported, "the nodes of a tree form a cycle");
  return Flattening<T>(forest).run();
}

template FlatForest<float> flatten(const Forest& forest);
template FlatForest<double> flatten(const Forest& forest);

}  // namespace treadle::cpu

// Trees by the row, by the batch, and as nobody would train them.
#include <cmath>
#include <limits>

#include "tests/ops/runner.h"

namespace treadle::test {
namespace {

using Ints = std::vector<int64_t>;
using Floats = std::vector<float>;
using Names = std::vector<std::string>;

constexpr float kInf = std::numeric_limits<float>::infinity();

// Values that repeat after 37, thresholds of the trees among them, and what is no number.
Floats values(int64_t count) {
  Floats list;
  for (int64_t i = 0; i < count; ++i) list.push_back(static_cast<float>(i * 11 % 37) / 8 - 2);
  for (size_t i = 5; i < list.size(); i += 41) list[i] = NAN;
  for (size_t i = 9; i < list.size(); i += 53) list[i] = i % 2 == 0 ? kInf : -kInf;
  return list;
}

// Full trees of depth 3 over 4 features: nodes 0 to 6 ask, 7 to 14 are leaves. Every second node
// takes what is no number.
Attributes full_trees(int64_t trees, const Names& modes) {
  Ints tree_ids, ids, features, yes, no, missing;
  Names kinds;
  Floats thresholds;
  for (int64_t tree = 0; tree < trees; ++tree) {
    for (int64_t id = 0; id < 15; ++id) {
      const int64_t mixed = tree * 7 + id * 5;
      tree_ids.push_back(tree);
      ids.push_back(id);
      features.push_back(mixed % 4);
      missing.push_back(id % 2);
      yes.push_back(id < 7 ? 2 * id + 1 : 0);
      no.push_back(id < 7 ? 2 * id + 2 : 0);
      thresholds.push_back(static_cast<float>(mixed % 31) / 8 - 2);
      kinds.push_back(id < 7 ? modes[static_cast<size_t>(mixed) % modes.size()] : "LEAF");
    }
  }
  return {{"nodes_treeids", tree_ids},    {"nodes_nodeids", ids},
          {"nodes_featureids", features}, {"nodes_truenodeids", yes},
          {"nodes_falsenodeids", no},     {"nodes_modes", kinds},
          {"nodes_values", thresholds},   {"nodes_missing_value_tracks_true", missing}};
}

// Votes of the leaves: one each where `targets` is 1, else for two of the targets; none of leaf 14.
Attributes with_votes(Attributes a, int64_t trees, const std::string& prefix, int64_t targets) {
  Ints tree_ids, ids, ends;
  Floats weights;
  for (int64_t tree = 0; tree < trees; ++tree) {
    for (int64_t id = 7; id < 14; ++id) {
      for (int64_t vote = 0; vote < std::min<int64_t>(targets, 2); ++vote) {
        tree_ids.push_back(tree);
        ids.push_back(id);
        ends.push_back((id + tree + vote) % targets);
        weights.push_back(static_cast<float>((id * 3 + tree * 5 + vote) % 17 - 6) / 4);
      }
    }
  }
  a.set(prefix + "treeids", tree_ids);
  a.set(prefix + "nodeids", ids);
  a.set(prefix + "ids", ends);
  a.set(prefix + "weights", weights);
  return a;
}

struct Forest {
  int64_t trees = 3;
  int64_t targets = 1;
  Names modes = {"BRANCH_LEQ"};
};

OpCase regressor(std::string name, const Forest& f, Value x, const Attributes& more = {}) {
  Attributes a = with_votes(full_trees(f.trees, f.modes), f.trees, "target_", f.targets);
  a.set("n_targets", f.targets);
  for (const auto& [key, value] : more) a.set(key, value);
  return {.name = std::move(name),
          .op = "TreeEnsembleRegressor",
          .domain = "ai.onnx.ml",
          .attributes = a,
          .inputs = {std::move(x)}};
}

OpCase classifier(std::string name, const Forest& f, Value x, const Attributes& more = {}) {
  Attributes a = with_votes(full_trees(f.trees, f.modes), f.trees, "class_", f.targets);
  Ints labels;
  for (int64_t i = 0; i < f.targets; ++i) labels.push_back(100 - i);
  if (!more.has("classlabels_strings")) a.set("classlabels_int64s", labels);
  for (const auto& [key, value] : more) a.set(key, value);
  return {.name = std::move(name),
          .op = "TreeEnsembleClassifier",
          .domain = "ai.onnx.ml",
          .attributes = a,
          .inputs = {std::move(x)},
          .outputs = 2};
}

Value rows(int64_t count) { return f32({count, 4}, values(count * 4)); }

std::vector<OpCase> batches() {
  const Names all = {"BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE",
                     "BRANCH_GT",  "BRANCH_EQ", "BRANCH_NEQ"};
  std::vector<double> wide;
  Ints whole;
  for (int i = 0; i < 44; ++i) {
    wide.push_back(i * 0.1 - 2);
    whole.push_back(i % 7 - 3);
  }
  return {
      regressor("one_row", {}, rows(1)),
      regressor("vector", {}, f32({4}, values(4))),
      regressor("many_trees", {.trees = 37}, rows(1)),
      regressor("rest_of_lanes", {.trees = 9, .targets = 3}, rows(21)),
      regressor("blocks", {.trees = 2, .targets = 2}, rows(300)),
      regressor("parts", {.trees = 40}, rows(1000)),
      regressor("all_modes", {.trees = 24, .targets = 3, .modes = all}, rows(64)),
      regressor("doubles", {.modes = all}, f64({11, 4}, wide)),
      regressor("integers", {.modes = all}, i64({11, 4}, whole)),
      regressor("min", {.targets = 3}, rows(21), {{"aggregate_function", "MIN"}}),
      regressor("max", {.targets = 3}, rows(21),
                {{"aggregate_function", "MAX"}, {"base_values", Floats{1, 2, 3}}}),
      regressor("average", {.targets = 2}, rows(21), {{"aggregate_function", "AVERAGE"}}),
      regressor("softmax", {.targets = 3}, rows(9), {{"post_transform", "SOFTMAX"}}),
      regressor("probit", {.trees = 1}, rows(9), {{"post_transform", "PROBIT"}}),
      regressor("fine_thresholds", {.trees = 1}, rows(21),
                {{"nodes_values_as_tensor", f64({15}, std::vector<double>(15, 0.1))}}),
      regressor("no_threshold", {.trees = 1, .modes = all}, rows(21),
                {{"nodes_values", Floats(15, NAN)}}),
      classifier("four_classes", {.trees = 9, .targets = 4}, rows(21)),
      classifier("logistic", {.targets = 3}, rows(21), {{"post_transform", "LOGISTIC"}}),
      classifier("two_classes", {.targets = 2}, rows(21), {{"base_values", Floats{0.5f, -1}}}),
      classifier("names", {.targets = 2}, rows(21), {{"classlabels_strings", Names{"a", "b"}}}),
  };
}

// x0 in {1, 2.5, 3} ? 10 : (x1 in {} ? 20 : (x0 in {7} ? 30 : 40)), and its last question as a
// tree of its own.
OpCase sets(std::string name, Tensor (*list)(Dims, const Floats&), int64_t join, Floats want) {
  return {.name = std::move(name),
          .op = "TreeEnsemble",
          .domain = "ai.onnx.ml",
          .attributes = {{"n_targets", int64_t{1}},
                         {"aggregate_function", join},
                         {"nodes_modes", u8({3}, {6, 6, 6})},
                         {"nodes_splits", list({3}, {0, 0, 0})},
                         {"membership_values", list({6}, {1, 2.5f, 3, NAN, NAN, 7})},
                         {"nodes_featureids", Ints{0, 1, 0}},
                         {"nodes_truenodeids", Ints{0, 1, 2}},
                         {"nodes_trueleafs", Ints{1, 1, 1}},
                         {"nodes_falsenodeids", Ints{1, 2, 3}},
                         {"nodes_falseleafs", Ints{0, 0, 1}},
                         {"nodes_missing_value_tracks_true", Ints{0, 1, 0}},
                         {"leaf_targetids", Ints{0, 0, 0, 0}},
                         {"leaf_weights", list({4}, {10, 20, 30, 40})},
                         {"tree_roots", Ints{0, 2}}},
          .inputs = {list({6, 2}, {1, 0, 7, 0, 7, NAN, NAN, 0, 2.5f, 0, 3, 0})},
          .want = {list({6, 1}, want)}};
}

std::vector<OpCase> by_leaves() {
  return {sets("sum", f32, 1, {50, 60, 50, 80, 50, 50}),
          sets("half_average", f16, 0, {25, 30, 25, 40, 25, 25}),
          sets("least", f32, 2, {10, 30, 20, 40, 10, 10})};
}

INSTANTIATE_TEST_SUITE_P(TreeBatches, OpTest, testing::ValuesIn(batches()), case_name);
INSTANTIATE_TEST_SUITE_P(TreeLeaves, OpTest, testing::ValuesIn(by_leaves()), case_name);

}  // namespace
}  // namespace treadle::test

// ai.onnx.ml's tree ensembles: TreeEnsembleClassifier, TreeEnsembleRegressor, TreeEnsemble.
#include <algorithm>
#include <array>
#include <set>

#include "graph/ops/cast.h"
#include "graph/ops/families.h"
#include "graph/ops/forest.h"
#include "graph/ops/ml_scores.h"
#include "graph/ops/op.h"

namespace treadle {
namespace {

enum class Join : uint8_t { kAverage, kSum, kMin, kMax };

// The trees' votes for each target, joined; `seen` marks the targets that got one.
struct Tally {
  std::vector<double> scores;
  std::vector<bool> seen;
};

Tally tally(const Forest& forest, const double* row, int64_t targets, Join join) {
  const auto count = static_cast<size_t>(targets);
  Tally t{std::vector<double>(count, 0), std::vector<bool>(count, false)};
  for (size_t root : forest.roots) {
    for (const Vote& vote : forest.votes_of(forest.leaf(root, row))) {
      const auto target = static_cast<size_t>(vote.target);
      double& score = t.scores[target];
      if (!t.seen[target])
        score = vote.weight;
      else if (join == Join::kMin)
        score = std::min(score, vote.weight);
      else if (join == Join::kMax)
        score = std::max(score, vote.weight);
      else
        score += vote.weight;
      t.seen[target] = true;
    }
  }
  if (join == Join::kAverage) {
    for (double& score : t.scores)
      score /= static_cast<double>(std::max<size_t>(forest.roots.size(), 1));
  }
  return t;
}

// The input's rows as double: thresholds compare as they do in the input's own type.
Tensor rows_of(EvalContext& c, const Forest& forest) {
  const auto [rows, columns] = rows_and_columns(c.input(0).dims());
  TREADLE_CHECK(columns >= forest.features, kInvalidArgument, "the input has ", columns,
                " columns, the trees read ", forest.features);
  return cast_tensor(c.input(0), DType::kDouble).reshaped({rows, columns});
}

std::vector<double> base_values(const Attributes& a) {
  if (const Tensor* t = a.tensor("base_values_as_tensor")) return t->to_doubles();
  const std::vector<float> floats = a.floats("base_values");
  return {floats.begin(), floats.end()};
}

void add_base(std::vector<double>& scores, const std::vector<double>& base) {
  for (size_t i = 0; i < std::min(scores.size(), base.size()); ++i) scores[i] += base[i];
}

// ---- TreeEnsembleClassifier

struct Classifier {
  Forest forest;
  ClassLabels labels;
  std::vector<double> base;
  std::string transform;
  int64_t classes = 0;
  bool single = false;        // two classes, but votes for one id only: a score for "positive"
  bool all_positive = false;  // no weight is negative: such scores are probabilities
};

Classifier read_classifier(const Attributes& a) {
  Classifier m;
  m.labels = class_labels(a, "classlabels_int64s", "classlabels_strings");
  m.classes = static_cast<int64_t>(m.labels.count());
  m.forest = forest_by_node_ids(a, "class_", m.classes);
  m.base = base_values(a);
  m.transform = a.s("post_transform", "NONE");
  std::set<int64_t> targets;
  m.all_positive = true;
  for (const Vote& v : m.forest.votes) {
    targets.insert(v.target);
    m.all_positive = m.all_positive && v.weight >= 0;
  }
  m.single = m.classes == 2 && targets.size() == 1;
  return m;
}

// Two scores from the one of a binary model, as ONNX Runtime defines what the specification leaves
// open: only LOGISTIC transforms them.
size_t finish_binary(const Classifier& m, double score, std::vector<double>& scores) {
  const bool logistic = m.transform == "LOGISTIC";
  scores = {m.all_positive && !logistic ? 1 - score : -score, score};
  if (logistic) post_transform(scores, m.transform);
  return score > (m.all_positive ? 0.5 : 0) ? 1 : 0;
}

size_t classify(const Classifier& m, const double* row, std::vector<double>& scores) {
  Tally t = tally(m.forest, row, m.classes, Join::kSum);
  if (m.single) {
    const double base = m.base.empty() ? 0 : m.base.back();
    return finish_binary(m, t.scores[t.seen[1] ? 1 : 0] + base, scores);
  }
  add_base(t.scores, m.base);
  scores = std::move(t.scores);
  const auto best =
      static_cast<size_t>(std::max_element(scores.begin(), scores.end()) - scores.begin());
  post_transform(scores, m.transform);
  return best;
}

void eval_classifier(EvalContext& c) {
  const Classifier m = read_classifier(c.attributes());
  const Tensor x = rows_of(c, m.forest);
  Tensor& labels = c.output(0, m.labels.dtype(), {x.dim(0)});
  Tensor& z = c.output(1, DType::kFloat, {x.dim(0), m.classes});
  std::vector<double> scores;
  for (int64_t n = 0; n < x.dim(0); ++n) {
    c.poll();
    const size_t chosen = classify(m, x.data<double>().data() + n * x.dim(1), scores);
    m.labels.put(labels, static_cast<size_t>(n), chosen);
    for (size_t k = 0; k < scores.size(); ++k) {
      z.data<float>()[static_cast<size_t>(n * m.classes) + k] = static_cast<float>(scores[k]);
    }
  }
}

Dim row_count(InferContext& c) { return c.rank(0) == 1 ? Dim(1) : c.shape(0).at(0); }

void check_matrix(InferContext& c) {
  TREADLE_CHECK(c.rank(0) == 1 || c.rank(0) == 2, kInvalidModel,
                "expected a vector or matrix, got ", shape_text(c.shape(0)));
}

void infer_classifier(InferContext& c) {
  const ClassLabels labels =
      class_labels(c.attributes(), "classlabels_int64s", "classlabels_strings");
  c.set_dtype(0, labels.dtype());
  check_matrix(c);
  c.set_shape(0, {row_count(c)});
  c.set_shape(1, {row_count(c), static_cast<int64_t>(labels.count())});
}

// ---- TreeEnsembleRegressor, TreeEnsemble

int64_t target_count(const Attributes& a) {
  const int64_t targets = a.i("n_targets", 1);
  TREADLE_CHECK(targets >= 0, kInvalidModel, "attribute 'n_targets' is ", targets);
  return targets;
}

struct Regressor {
  Forest forest;
  std::vector<double> base;
  Join join = Join::kSum;
  std::string transform;
};

void run_regressor(EvalContext& c, const Regressor& m, DType dtype) {
  const int64_t targets = target_count(c.attributes());
  const Tensor x = rows_of(c, m.forest);
  Tensor y(DType::kDouble, {x.dim(0), targets});
  for (int64_t n = 0; n < x.dim(0); ++n) {
    c.poll();
    Tally t = tally(m.forest, x.data<double>().data() + n * x.dim(1), targets, m.join);
    add_base(t.scores, m.base);
    post_transform(t.scores, m.transform);
    std::copy(t.scores.begin(), t.scores.end(), y.data<double>().begin() + n * targets);
  }
  copy_elements(cast_tensor(y, dtype), c.output(0, dtype, y.dims()));
}

void eval_regressor(EvalContext& c) {
  const Attributes& a = c.attributes();
  constexpr std::array<std::string_view, 4> kNames = {"AVERAGE", "SUM", "MIN", "MAX"};
  const std::string name = a.s("aggregate_function", "SUM");
  const auto at = std::ranges::find(kNames, name);
  TREADLE_CHECK(at != kNames.end(), kInvalidModel, "unknown aggregate_function '", name, "'");
  const Regressor m{forest_by_node_ids(a, "target_", target_count(a)), base_values(a),
                    static_cast<Join>(at - kNames.begin()), a.s("post_transform", "NONE")};
  run_regressor(c, m, DType::kFloat);
}

void eval_tree_ensemble(EvalContext& c) {
  const Attributes& a = c.attributes();
  constexpr std::array<const char*, 5> kTransforms = {"NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO",
                                                      "PROBIT"};
  const int64_t join = a.i("aggregate_function", 1);
  const int64_t transform = a.i("post_transform", 0);
  TREADLE_CHECK(join >= 0 && join < 4 && transform >= 0 && transform < 5, kInvalidModel,
                "aggregate_function is ", join, " (expected 0 to 3) and post_transform ", transform,
                " (expected 0 to 4)");
  const Regressor m{forest_by_leaves(a, target_count(a)),
                    {},
                    static_cast<Join>(join),
                    kTransforms[static_cast<size_t>(transform)]};
  run_regressor(c, m, c.dtype(0));
}

void infer_regressor(InferContext& c) {
  check_matrix(c);
  c.set_shape(0, {row_count(c), target_count(c.attributes())});
}

constexpr const char* kInputTypes = "T=float,double,int32,int64";

constexpr OpDef kRows[] = {
    {.kind = "TreeEnsembleClassifier",
     .inputs = "X:T",
     .outputs = "Y:any Z:float",
     .types = kInputTypes,
     .attributes =
         "base_values:fs base_values_as_tensor:t class_ids:is class_nodeids:is class_treeids:is "
         "class_weights:fs class_weights_as_tensor:t classlabels_int64s:is classlabels_strings:ss "
         "nodes_falsenodeids:is nodes_featureids:is nodes_hitrates:fs nodes_hitrates_as_tensor:t "
         "nodes_missing_value_tracks_true:is nodes_modes:ss nodes_nodeids:is nodes_treeids:is "
         "nodes_truenodeids:is nodes_values:fs nodes_values_as_tensor:t post_transform:s=NONE",
     .infer = infer_classifier,
     .eval = eval_classifier,
     .domain = "ai.onnx.ml"},
    {.kind = "TreeEnsembleRegressor",
     .inputs = "X:T",
     .outputs = "Y:float",
     .types = kInputTypes,
     .attributes =
         "aggregate_function:s=SUM base_values:fs base_values_as_tensor:t n_targets:i "
         "nodes_falsenodeids:is nodes_featureids:is nodes_hitrates:fs nodes_hitrates_as_tensor:t "
         "nodes_missing_value_tracks_true:is nodes_modes:ss nodes_nodeids:is nodes_treeids:is "
         "nodes_truenodeids:is nodes_values:fs nodes_values_as_tensor:t post_transform:s=NONE "
         "target_ids:is target_nodeids:is target_treeids:is target_weights:fs "
         "target_weights_as_tensor:t",
     .infer = infer_regressor,
     .eval = eval_regressor,
     .domain = "ai.onnx.ml"},
    {.kind = "TreeEnsemble",
     .inputs = "X:T",
     .outputs = "Y:T",
     .types = "T=float,double,float16",
     .attributes =
         "aggregate_function:i=1 leaf_targetids:is! leaf_weights:t! membership_values:t "
         "n_targets:i "
         "nodes_falseleafs:is! nodes_falsenodeids:is! nodes_featureids:is! nodes_hitrates:t "
         "nodes_missing_value_tracks_true:is nodes_modes:t! nodes_splits:t! nodes_trueleafs:is! "
         "nodes_truenodeids:is! post_transform:i=0 tree_roots:is!",
     .infer = infer_regressor,
     .eval = eval_tree_ensemble,
     .domain = "ai.onnx.ml"},
};

}  // namespace

std::span<const OpDef> tree_ensemble_ops() { return kRows; }

}  // namespace treadle

// ai.onnx.ml's tree ensembles: TreeEnsembleClassifier, TreeEnsembleRegressor, TreeEnsemble.
#include "graph/ops/tree_ensemble.h"

#include <algorithm>
#include <array>

#include "graph/ops/cast.h"
#include "graph/ops/families.h"

namespace treadle {
namespace {

std::vector<double> base_values(const Attributes& a) {
  if (const Tensor* t = a.tensor("base_values_as_tensor")) return t->to_doubles();
  const std::vector<float> floats = a.floats("base_values");
  return {floats.begin(), floats.end()};
}

int64_t target_count(const Attributes& a) {
  const int64_t targets = a.i("n_targets", 1);
  TREADLE_CHECK(targets >= 0, kInvalidModel, "attribute 'n_targets' is ", targets);
  return targets;
}

ClassLabels labels_of(const Attributes& a) {
  return class_labels(a, "classlabels_int64s", "classlabels_strings");
}

TreeEnsemble read_classifier(const Attributes& a) {
  TreeEnsemble m;
  m.classifier = true;
  m.labels = labels_of(a);
  m.targets = static_cast<int64_t>(m.labels.count());
  m.forest = forest_by_node_ids(a, "class_", m.targets);
  m.base = base_values(a);
  m.transform = a.s("post_transform", "NONE");
  m.all_positive = true;
  bool same = true;
  for (const Vote& v : m.forest.votes) {
    same = same && v.target == m.forest.votes.front().target;
    m.all_positive = m.all_positive && v.weight >= 0;
  }
  m.single = m.targets == 2 && same && !m.forest.votes.empty();
  return m;
}

TreeEnsemble read_regressor(const Attributes& a) {
  constexpr std::array<std::string_view, 4> kNames = {"AVERAGE", "SUM", "MIN", "MAX"};
  const std::string name = a.s("aggregate_function", "SUM");
  const auto at = std::ranges::find(kNames, name);
  TREADLE_CHECK(at != kNames.end(), kInvalidModel, "unknown aggregate_function '", name, "'");
  TreeEnsemble m;
  m.targets = target_count(a);
  m.forest = forest_by_node_ids(a, "target_", m.targets);
  m.base = base_values(a);
  m.join = static_cast<Join>(at - kNames.begin());
  m.transform = a.s("post_transform", "NONE");
  return m;
}

TreeEnsemble read_by_leaves(const Attributes& a) {
  constexpr std::array<const char*, 5> kTransforms = {"NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO",
                                                      "PROBIT"};
  const int64_t join = a.i("aggregate_function", 1);
  const int64_t transform = a.i("post_transform", 0);
  TREADLE_CHECK(join >= 0 && join < 4 && transform >= 0 && transform < 5, kInvalidModel,
                "aggregate_function is ", join, " (expected 0 to 3) and post_transform ", transform,
                " (expected 0 to 4)");
  TreeEnsemble m;
  m.targets = target_count(a);
  m.forest = forest_by_leaves(a, m.targets);
  m.join = static_cast<Join>(join);
  m.transform = kTransforms[static_cast<size_t>(transform)];
  return m;
}

// Two scores from the one of a binary model, as ONNX Runtime defines what the specification leaves
// open: only LOGISTIC transforms them.
size_t finish_binary(const TreeEnsemble& m, std::span<double> scores) {
  const double score = scores[0] + scores[1] + (m.base.empty() ? 0 : m.base.back());
  const bool logistic = m.transform == "LOGISTIC";
  scores[0] = m.all_positive && !logistic ? 1 - score : -score;
  scores[1] = score;
  if (logistic) post_transform(scores, m.transform);
  return score > (m.all_positive ? 0.5 : 0) ? 1 : 0;
}

}  // namespace

TreeEnsemble read_tree_ensemble(const Node& node) {
  if (node.op->kind == "TreeEnsembleClassifier") return read_classifier(node.attributes);
  if (node.op->kind == "TreeEnsembleRegressor") return read_regressor(node.attributes);
  return read_by_leaves(node.attributes);
}

size_t finish_scores(const TreeEnsemble& m, std::span<double> scores) {
  if (m.single) return finish_binary(m, scores);
  if (m.join == Join::kAverage) {
    for (double& score : scores)
      score /= static_cast<double>(std::max<size_t>(m.forest.roots.size(), 1));
  }
  for (size_t i = 0; i < std::min(scores.size(), m.base.size()); ++i) scores[i] += m.base[i];
  const auto best = std::max_element(scores.begin(), scores.end()) - scores.begin();
  post_transform(scores, m.transform);
  return static_cast<size_t>(best);
}

namespace {

// The scores of one row, and the class of the best. The row is of doubles: thresholds compare as
// they do in the input's own type.
size_t evaluate_row(const TreeEnsemble& m, const double* row, std::span<double> scores) {
  std::ranges::fill(scores, 0);
  std::vector<uint8_t> seen(scores.size());
  for (size_t root : m.forest.roots) {
    for (const Vote& v : m.forest.votes_of(m.forest.leaf(root, row))) {
      const auto target = static_cast<size_t>(v.target);
      join_vote(m.join, v.weight, scores[target], seen[target]);
    }
  }
  return finish_scores(m, scores);
}

void eval_tree_ensemble(EvalContext& c) {
  const TreeEnsemble m = read_tree_ensemble(c.node());
  const auto [rows, columns] = rows_and_columns(c.input(0).dims());
  TREADLE_CHECK(columns >= m.forest.features, kInvalidArgument, "the input has ", columns,
                " columns, the trees read ", m.forest.features);
  const Tensor x = cast_tensor(c.input(0), DType::kDouble);
  Tensor* labels = m.classifier ? &c.output(0, m.labels.dtype(), {rows}) : nullptr;
  Tensor y(DType::kDouble, {rows, m.targets});
  const auto width = static_cast<size_t>(m.targets);
  for (int64_t n = 0; n < rows; ++n) {
    c.poll();
    const auto at = static_cast<size_t>(n);
    const size_t best = evaluate_row(m, x.data<double>().data() + n * columns,
                                     y.data<double>().subspan(at * width, width));
    if (labels != nullptr) m.labels.put(*labels, at, best);
  }
  const bool own_type = c.node().op->kind == "TreeEnsemble";
  const DType dtype = own_type ? c.dtype(0) : DType::kFloat;
  copy_elements(cast_tensor(y, dtype), c.output(m.classifier ? 1 : 0, dtype, y.dims()));
}

Dim row_count(InferContext& c) { return c.rank(0) == 1 ? Dim(1) : c.shape(0).at(0); }

void check_matrix(InferContext& c) {
  TREADLE_CHECK(c.rank(0) == 1 || c.rank(0) == 2, kInvalidModel,
                "expected a vector or matrix, got ", shape_text(c.shape(0)));
}

void infer_classifier(InferContext& c) {
  const ClassLabels labels = labels_of(c.attributes());
  c.set_dtype(0, labels.dtype());
  check_matrix(c);
  c.set_shape(0, {row_count(c)});
  c.set_shape(1, {row_count(c), static_cast<int64_t>(labels.count())});
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
     .eval = eval_tree_ensemble,
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
     .eval = eval_tree_ensemble,
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

// Support vector machines of ai.onnx.ml: SVMClassifier, SVMRegressor.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "graph/ops/families.h"
#include "graph/ops/ml_scores.h"
#include "graph/ops/op.h"

namespace treadle {
namespace {

using Doubles = std::vector<double>;

Doubles numbers(const Attributes& a, const char* name) {
  const std::vector<float> list = a.floats(name);
  return {list.begin(), list.end()};
}

// The kernel function of two vectors.
struct Similarity {
  std::string kind;
  double gamma = 0;
  double coef0 = 0;
  double degree = 0;

  double operator()(const double* x, const double* vector, int64_t features) const {
    double sum = 0;
    for (int64_t i = 0; i < features; ++i) {
      const double d = kind == "RBF" ? x[i] - vector[i] : x[i];
      sum += d * (kind == "RBF" ? d : vector[i]);
    }
    if (kind == "RBF") return std::exp(-gamma * sum);
    if (kind == "POLY") return std::pow(gamma * sum + coef0, degree);
    return kind == "SIGMOID" ? std::tanh(gamma * sum + coef0) : sum;
  }
};

Similarity similarity_of(const Attributes& a) {
  Similarity s;
  s.kind = a.s("kernel_type", "LINEAR");
  TREADLE_CHECK(s.kind == "LINEAR" || s.kind == "POLY" || s.kind == "RBF" || s.kind == "SIGMOID",
                kInvalidModel, "attribute 'kernel_type' is '", s.kind,
                "', expected LINEAR, POLY, RBF or SIGMOID");
  const Doubles params = numbers(a, "kernel_params");
  TREADLE_CHECK(params.empty() || params.size() >= 3, kInvalidModel, "kernel_params has ",
                params.size(), " elements, expected gamma, coef0 and degree");
  if (params.empty()) return s;
  s.gamma = params[0];
  s.coef0 = params[1];
  s.degree = params[2];
  return s;
}

// What both operators have. Without support vectors the coefficients are the vectors of a linear
// model.
struct Machine {
  Similarity similarity;
  Doubles coefficients;
  Doubles vectors;  // [count, features]
  Doubles rho;
  Doubles x;  // [rows, features]
  int64_t count = 0;
  int64_t rows = 0;
  int64_t features = 0;

  Doubles similarities(int64_t row) const {
    Doubles all;
    for (int64_t v = 0; v < count; ++v) {
      all.push_back(similarity(x.data() + row * features, vectors.data() + v * features, features));
    }
    return all;
  }
};

Machine read_machine(EvalContext& c, int64_t count, int64_t linear_models) {
  const Attributes& a = c.attributes();
  Machine m;
  m.similarity = similarity_of(a);
  m.coefficients = numbers(a, "coefficients");
  m.vectors = numbers(a, "support_vectors");
  m.rho = numbers(a, "rho");
  m.count = count;
  m.x = c.input(0).to_doubles();
  std::tie(m.rows, m.features) = rows_and_columns(c.input(0).dims());
  if (count == 0) {
    m.similarity.kind = "LINEAR";
    m.count = linear_models;
    m.vectors = m.coefficients;
  }
  TREADLE_CHECK(checked_mul(m.count, m.features) == static_cast<int64_t>(m.vectors.size()),
                kInvalidModel, m.vectors.size(), " elements of support vectors, expected ", m.count,
                " vectors of ", m.features, " features");
  TREADLE_CHECK(!m.rho.empty(), kInvalidModel, "attribute 'rho' is empty");
  return m;
}

// ---- SVMClassifier

struct Classes {
  ClassLabels labels;
  std::vector<int64_t> sizes;   // support vectors of each class
  std::vector<int64_t> starts;  // and the first of them
  int64_t vectors = 0;
  int64_t count = 0;
  bool has_probabilities = false;

  bool is_linear() const { return vectors == 0; }
  int64_t pairs() const { return count * (count - 1) / 2; }
  int64_t scores() const {
    if (is_linear() || has_probabilities) return count;
    return count > 2 ? pairs() : 2;
  }
};

Classes read_classes(const Attributes& a) {
  Classes k;
  k.labels = class_labels(a, "classlabels_ints", "classlabels_strings");
  k.count = static_cast<int64_t>(k.labels.count());
  k.sizes = a.ints("vectors_per_class");
  for (int64_t size : k.sizes) {
    TREADLE_CHECK(size >= 0, kInvalidModel, "vectors_per_class holds ", size);
    k.starts.push_back(k.vectors);
    k.vectors = checked_add(k.vectors, size);
  }
  k.has_probabilities = !a.floats("prob_a").empty();
  TREADLE_CHECK(k.count > 0 && k.count < 65536, kInvalidModel, k.count,
                " class labels, expected 1 to 65535");
  TREADLE_CHECK(k.is_linear() || (static_cast<int64_t>(k.sizes.size()) == k.count && k.count > 1),
                kInvalidModel, k.sizes.size(), " elements of vectors_per_class for ", k.count,
                " classes");
  return k;
}

void check_pairs(const Classes& k, const Machine& m, const Attributes& a) {
  const auto at_least = [](const char* name, size_t size, int64_t wanted) {
    TREADLE_CHECK(static_cast<int64_t>(size) >= wanted, kInvalidModel, "attribute '", name,
                  "' has ", size, " elements, expected ", wanted);
  };
  at_least("coefficients", m.coefficients.size(), checked_mul(k.count - 1, k.vectors));
  at_least("rho", m.rho.size(), k.pairs());
  if (!k.has_probabilities) return;
  at_least("prob_a", a.floats("prob_a").size(), k.pairs());
  at_least("prob_b", a.floats("prob_b").size(), k.pairs());
}

// The decision of each pair of classes i < j, positive for i. Row j-1 of the coefficients weighs
// the vectors of class i against j, row i those of class j against i.
Doubles pair_scores(const Classes& k, const Machine& m, const Doubles& similar) {
  Doubles scores;
  auto weigh = [&](int64_t row, int64_t of) {
    double sum = 0;
    for (int64_t v = 0; v < k.sizes[static_cast<size_t>(of)]; ++v) {
      const int64_t at = k.starts[static_cast<size_t>(of)] + v;
      sum += m.coefficients[static_cast<size_t>(row * k.vectors + at)] *
             similar[static_cast<size_t>(at)];
    }
    return sum;
  };
  for (int64_t i = 0; i < k.count; ++i) {
    for (int64_t j = i + 1; j < k.count; ++j)
      scores.push_back(weigh(j - 1, i) + weigh(i, j) + m.rho[scores.size()]);
  }
  return scores;
}

size_t most_votes(const Classes& k, const Doubles& pairs) {
  std::vector<int64_t> votes(static_cast<size_t>(k.count));
  size_t at = 0;
  for (size_t i = 0; i < votes.size(); ++i) {
    for (size_t j = i + 1; j < votes.size(); ++j) ++votes[pairs[at++] > 0 ? i : j];
  }
  return static_cast<size_t>(std::max_element(votes.begin(), votes.end()) - votes.begin());
}

// Probabilities of the classes from those of the pairs, by the second method of Wu, Lin and Weng,
// "Probability Estimates for Multi-class Classification by Pairwise Coupling"; r[i][j] is that of i
// against j.
Doubles couple(const std::vector<Doubles>& r) {
  constexpr int kTurns = 100;
  const size_t n = r.size();
  std::vector<Doubles> q(n, Doubles(n));
  for (size_t i = 0; i < n; ++i) {
    for (size_t j = 0; j < n; ++j) {
      if (i == j) continue;
      q[i][i] += r[j][i] * r[j][i];
      q[i][j] = -r[j][i] * r[i][j];
    }
  }
  Doubles p(n, 1 / static_cast<double>(n));
  for (int turn = 0; turn < kTurns; ++turn) {
    Doubles qp(n);
    double pqp = 0;
    for (size_t i = 0; i < n; ++i) {
      qp[i] = std::inner_product(p.begin(), p.end(), q[i].begin(), 0.0);
      pqp += p[i] * qp[i];
    }
    double error = 0;
    for (double v : qp) error = std::max(error, std::fabs(v - pqp));
    if (error < 0.005 / static_cast<double>(n)) break;
    for (size_t i = 0; i < n; ++i) {
      const double step = (pqp - qp[i]) / q[i][i];
      p[i] += step;
      pqp = (pqp + step * (step * q[i][i] + 2 * qp[i])) / (1 + step) / (1 + step);
      for (size_t j = 0; j < n; ++j) {
        qp[j] = (qp[j] + step * q[i][j]) / (1 + step);
        p[j] /= 1 + step;
      }
    }
  }
  return p;
}

Doubles probabilities(const Classes& k, const Attributes& a, const Doubles& pairs) {
  constexpr double kLeast = 1e-7;
  const Doubles slope = numbers(a, "prob_a");
  const Doubles shift = numbers(a, "prob_b");
  const auto n = static_cast<size_t>(k.count);
  std::vector<Doubles> r(n, Doubles(n));
  size_t at = 0;
  for (size_t i = 0; i < n; ++i) {
    for (size_t j = i + 1; j < n; ++j, ++at) {
      const double one = 1 / (1 + std::exp(pairs[at] * slope[at] + shift[at]));
      r[i][j] = std::clamp(one, kLeast, 1 - kLeast);
      r[j][i] = 1 - r[i][j];
    }
  }
  return couple(r);
}

// Two linear models: a positive score means the second class, whichever of them has it.
size_t linear_class(const Classes& k, const Machine& m, const Doubles& scores) {
  const auto most = std::max_element(scores.begin(), scores.end());
  if (k.count != 2) return static_cast<size_t>(most - scores.begin());
  const bool all_positive =
      std::ranges::all_of(m.coefficients, [](double weight) { return weight >= 0; });
  if (all_positive ? *most >= 0.5 : *most > 0) return 1;
  return static_cast<size_t>(most - scores.begin());
}

// The score of one pair stands for both classes.
void transform_scores(const Classes& k, Doubles& scores, const std::string& transform) {
  if (scores.size() != 1 || k.scores() != 2) {
    if (scores.size() > 1 || transform == "PROBIT") post_transform(scores, transform);
    return;
  }
  const double s = scores[0];
  if (transform == "PROBIT") {
    post_transform(scores, transform);
    scores = {scores[0], s};
  } else if (transform == "NONE" || transform == "LOGISTIC") {
    scores = {-s, s};
    post_transform(scores, transform);
  } else {
    scores = {1 - s, s};
  }
}

void eval_svm_classifier(EvalContext& c) {
  const Classes k = read_classes(c.attributes());
  const Machine m = read_machine(c, k.vectors, k.count);
  if (!k.is_linear()) check_pairs(k, m, c.attributes());
  const std::string transform = c.attributes().s("post_transform", "NONE");
  Tensor& y = c.output(0, k.labels.dtype(), {m.rows});
  Tensor& z = c.output(1, DType::kFloat, {m.rows, k.scores()});
  for (int64_t n = 0; n < m.rows; ++n) {
    Doubles scores = m.similarities(n);
    size_t chosen = 0;
    if (k.is_linear()) {
      for (double& s : scores) s += m.rho[0];
      chosen = linear_class(k, m, scores);
    } else {
      scores = pair_scores(k, m, scores);
      chosen = most_votes(k, scores);
      if (k.has_probabilities) scores = probabilities(k, c.attributes(), scores);
    }
    transform_scores(k, scores, transform);
    k.labels.put(y, static_cast<size_t>(n), chosen);
    for (size_t i = 0; i < scores.size(); ++i) {
      z.data<float>()[static_cast<size_t>(n * k.scores()) + i] = static_cast<float>(scores[i]);
    }
  }
}

Dim row_count(InferContext& c) { return c.rank(0) == 2 ? c.shape(0)[0] : Dim(1); }

void infer_svm_classifier(InferContext& c) {
  const Classes k = read_classes(c.attributes());
  c.set_dtype(0, k.labels.dtype());
  c.set_shape(0, {row_count(c)});
  c.set_shape(1, {row_count(c), k.scores()});
}

// ---- SVMRegressor

void eval_svm_regressor(EvalContext& c) {
  const int64_t count = c.attributes().i("n_supports", 0);
  TREADLE_CHECK(count >= 0, kInvalidModel, "attribute 'n_supports' is ", count);
  const Machine m = read_machine(c, count, 1);
  TREADLE_CHECK(count == 0 || static_cast<int64_t>(m.coefficients.size()) >= count, kInvalidModel,
                m.coefficients.size(), " coefficients for ", count, " support vectors");
  const bool one_class = c.attributes().i("one_class", 0) != 0;
  Tensor& y = c.output(0, DType::kFloat, {m.rows, 1});
  for (int64_t n = 0; n < m.rows; ++n) {
    const Doubles similar = m.similarities(n);
    double sum = m.rho[0];
    for (size_t v = 0; v < similar.size(); ++v)
      sum += similar[v] * (count == 0 ? 1 : m.coefficients[v]);
    if (one_class) sum = sum > 0 ? 1 : -1;
    y.data<float>()[static_cast<size_t>(n)] = static_cast<float>(sum);
  }
}

void infer_svm_regressor(InferContext& c) { c.set_shape(0, {row_count(c), 1}); }

constexpr const char* kTypes = "T=float,double,int32,int64";

constexpr OpDef kRows[] = {
    {.kind = "SVMClassifier",
     .inputs = "X:T",
     .outputs = "Y:any Z:float",
     .types = kTypes,
     .attributes = "classlabels_ints:is classlabels_strings:ss coefficients:fs kernel_params:fs "
                   "kernel_type:s=LINEAR post_transform:s=NONE prob_a:fs prob_b:fs rho:fs "
                   "support_vectors:fs vectors_per_class:is",
     .infer = infer_svm_classifier,
     .eval = eval_svm_classifier,
     .domain = "ai.onnx.ml"},
    {.kind = "SVMRegressor",
     .inputs = "X:T",
     .outputs = "Y:float",
     .types = kTypes,
     .attributes =
         "coefficients:fs kernel_params:fs kernel_type:s=LINEAR n_supports:i=0 one_class:i=0 "
         "post_transform:s=NONE rho:fs support_vectors:fs",
     .infer = infer_svm_regressor,
     .eval = eval_svm_regressor,
     .domain = "ai.onnx.ml"},
};

}  // namespace

std::span<const OpDef> svm_ops() { return kRows; }

}  // namespace treadle

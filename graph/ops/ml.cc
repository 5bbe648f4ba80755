// The smaller operators of ai.onnx.ml: ZipMap, LabelEncoder, linear models, scaling, feature
// selection.
#include <algorithm>
#include <cmath>
#include <map>

#include "graph/ops/arithmetic.h"
#include "graph/ops/cast.h"
#include "graph/ops/families.h"
#include "graph/ops/iterate.h"
#include "graph/ops/ml_scores.h"
#include "graph/ops/op.h"

namespace treadle {
namespace {

// ---- ZipMap

constexpr const char* kIntLabels = "classlabels_int64s";
constexpr const char* kStringLabels = "classlabels_strings";

void infer_zip_map(InferContext& c) {
  Type map;
  map.kind = Type::Kind::kMap;
  map.key = class_labels(c.attributes(), kIntLabels, kStringLabels).dtype();
  map.dtype = DType::kFloat;
  c.set_type(0, Type::of(Type::Kind::kSequence, map));
}

void eval_zip_map(EvalContext& c) {
  const Tensor& x = c.input(0);
  const ClassLabels labels = class_labels(c.attributes(), kIntLabels, kStringLabels);
  const auto [rows, columns] = rows_and_columns(x.dims());
  TREADLE_CHECK(columns == static_cast<int64_t>(labels.count()), kInvalidArgument, "the input has ",
                columns, " columns, there are ", labels.count(), " class labels");
  Tensor keys(labels.dtype(), {columns});
  for (size_t k = 0; k < labels.count(); ++k) labels.put(keys, k, k);
  auto maps = std::make_shared<Sequence>();
  for (int64_t n = 0; n < rows; ++n) {
    auto map = std::make_shared<Map>();
    map->keys = keys;
    map->values = Tensor(DType::kFloat, {columns});
    const auto row =
        x.data<float>().subspan(static_cast<size_t>(n * columns), static_cast<size_t>(columns));
    std::copy(row.begin(), row.end(), map->values.data<float>().begin());
    maps->push_back(std::shared_ptr<const Map>(map));
  }
  c.set_output(0, std::shared_ptr<const Sequence>(maps));
}

// ---- LabelEncoder

// A list given by one of several attributes; undefined when none is.
Tensor list_attribute(const Attributes& a, const std::string& prefix) {
  if (const Tensor* t = a.tensor(prefix + "_tensor")) return *t;
  if (a.has(prefix + "_int64s")) {
    const auto list = a.ints(prefix + "_int64s");
    return Tensor::of<int64_t>({static_cast<int64_t>(list.size())}, list);
  }
  if (a.has(prefix + "_floats")) {
    const auto list = a.floats(prefix + "_floats");
    return Tensor::of<float>({static_cast<int64_t>(list.size())}, list);
  }
  const auto list = a.strings(prefix + "_strings");
  return list.empty() ? Tensor()
                      : Tensor::of<std::string>({static_cast<int64_t>(list.size())}, list);
}

Tensor default_label(const Attributes& a, DType dtype) {
  if (const Tensor* t = a.tensor("default_tensor")) {
    TREADLE_CHECK(t->count() == 1, kInvalidModel, "default_tensor has shape ",
                  shape_text(t->dims()));
    return cast_tensor(*t, dtype);
  }
  if (dtype == DType::kString) return Tensor::scalar<std::string>(a.s("default_string", "_Unused"));
  if (dtype == DType::kInt64) return Tensor::scalar<int64_t>(a.i("default_int64", -1));
  if (is_integer(dtype)) return cast_tensor(Tensor::scalar<int64_t>(-1), dtype);
  return cast_tensor(Tensor::scalar<float>(a.f("default_float", -0.0f)), dtype);
}

// For each element of x its position among the keys, or their number. A NaN finds a NaN.
template <class Key, class T>
std::vector<size_t> positions(const Tensor& x, const Tensor& keys) {
  auto before = [](const Key& a, const Key& b) {
    if constexpr (std::is_floating_point_v<Key>)
      return a < b || (std::isnan(b) && !std::isnan(a));
    else
      return a < b;
  };
  std::map<Key, size_t, decltype(before)> index(before);
  for (size_t i = 0; i < keys.data<T>().size(); ++i)
    index.insert_or_assign(Key(keys.data<T>()[i]), i);
  std::vector<size_t> found;
  for (const T& e : x.data<T>()) {
    const auto at = index.find(Key(e));
    found.push_back(at == index.end() ? keys.data<T>().size() : at->second);
  }
  return found;
}

void eval_label_encoder(EvalContext& c) {
  const Tensor& x = c.input(0);
  const Tensor raw_keys = list_attribute(c.attributes(), "keys");
  const Tensor values = list_attribute(c.attributes(), "values");
  TREADLE_CHECK(raw_keys.defined() && values.defined() && raw_keys.count() == values.count(),
                kInvalidModel, "expected as many keys as values, got ", raw_keys.count(), " and ",
                values.count());
  const Tensor keys = cast_tensor(raw_keys, x.dtype());
  using LabelTypes = Types<std::string, int64_t, int32_t, int16_t, float, double>;
  const auto found = dispatch(x.dtype(), LabelTypes{}, [&]<class T>() {
    using Key = std::conditional_t<std::is_same_v<T, float>, double, T>;
    return positions<Key, T>(x, keys);
  });
  const Tensor otherwise = default_label(c.attributes(), values.dtype());
  Tensor& y = c.output(0, values.dtype(), x.dims());
  dispatch(values.dtype(), LabelTypes{}, [&]<class T>() {
    for (size_t i = 0; i < found.size(); ++i) {
      y.data<T>()[i] =
          found[i] < values.data<T>().size() ? values.data<T>()[found[i]] : otherwise.data<T>()[0];
    }
  });
}

void infer_label_encoder(InferContext& c) {
  c.set_dtype(0, list_attribute(c.attributes(), "values").dtype());
  infer_same_shape(c);
}

// ---- Linear models

// Row n of the scores: x[n] · coefficients[k] + intercepts[k].
struct LinearModel {
  std::vector<double> x;
  std::vector<float> coefficients;
  std::vector<float> intercepts;
  int64_t rows = 0;
  int64_t columns = 0;
  int64_t targets = 0;

  std::vector<double> scores(int64_t n) const {
    std::vector<double> out;
    for (int64_t k = 0; k < targets; ++k) {
      double sum = intercepts.empty() ? 0 : static_cast<double>(intercepts[static_cast<size_t>(k)]);
      for (int64_t i = 0; i < columns; ++i) {
        sum += x[static_cast<size_t>(n * columns + i)] *
               static_cast<double>(coefficients[static_cast<size_t>(k * columns + i)]);
      }
      out.push_back(sum);
    }
    return out;
  }
};

LinearModel read_linear(EvalContext& c, int64_t targets) {
  LinearModel m;
  std::tie(m.rows, m.columns) = rows_and_columns(c.input(0).dims());
  m.x = c.input(0).to_doubles();
  m.coefficients = c.attributes().floats("coefficients");
  m.intercepts = c.attributes().floats("intercepts");
  m.targets = targets;
  TREADLE_CHECK(
      targets > 0 &&
          checked_mul(targets, m.columns) == static_cast<int64_t>(m.coefficients.size()) &&
          (m.intercepts.empty() || static_cast<int64_t>(m.intercepts.size()) == targets),
      kInvalidModel, m.coefficients.size(), " coefficients and ", m.intercepts.size(),
      " intercepts for ", m.columns, " features and ", targets, " targets");
  return m;
}

int64_t class_rows(const Attributes& a, int64_t columns) {
  const auto coefficients = static_cast<int64_t>(a.floats("coefficients").size());
  return columns > 0 ? coefficients / columns : 0;
}

void eval_linear_classifier(EvalContext& c) {
  const ClassLabels labels =
      class_labels(c.attributes(), "classlabels_ints", "classlabels_strings");
  const LinearModel m =
      read_linear(c, class_rows(c.attributes(), rows_and_columns(c.input(0).dims()).second));
  const std::string transform = c.attributes().s("post_transform", "NONE");
  const bool doubled = m.targets == 1 && labels.count() == 2;
  const int64_t classes = doubled ? 2 : m.targets;
  Tensor& y = c.output(0, labels.dtype(), {m.rows});
  Tensor& z = c.output(1, DType::kFloat, {m.rows, classes});
  for (int64_t n = 0; n < m.rows; ++n) {
    std::vector<double> scores = m.scores(n);
    if (doubled) scores = {-scores[0], scores[0]};
    post_transform(scores, transform);
    size_t best =
        static_cast<size_t>(std::max_element(scores.begin(), scores.end()) - scores.begin());
    if (classes == 1) best = scores[0] >= (transform == "NONE" ? 0 : 0.5) ? 1 : 0;
    labels.put(y, static_cast<size_t>(n), best);
    for (size_t k = 0; k < scores.size(); ++k) {
      z.data<float>()[static_cast<size_t>(n * classes) + k] = static_cast<float>(scores[k]);
    }
  }
}

Dim row_count(InferContext& c) { return c.rank(0) == 2 ? c.shape(0)[0] : Dim(1); }

void infer_linear_classifier(InferContext& c) {
  const ClassLabels labels =
      class_labels(c.attributes(), "classlabels_ints", "classlabels_strings");
  c.set_dtype(0, labels.dtype());
  c.set_shape(0, {row_count(c)});
  TREADLE_CHECK(c.rank(0) == 1 || c.rank(0) == 2, kInvalidModel,
                "expected a vector or matrix, got ", shape_text(c.shape(0)));
  const Dim columns = c.shape(0).back();
  if (!columns.known()) return c.set_shape(1, {row_count(c), Dim::unknown()});
  const int64_t rows = class_rows(c.attributes(), columns.value());
  c.set_shape(1, {row_count(c), rows == 1 && labels.count() == 2 ? 2 : rows});
}

void eval_linear_regressor(EvalContext& c) {
  const LinearModel m = read_linear(c, c.attributes().i("targets", 1));
  Tensor& y = c.output(0, DType::kFloat, {m.rows, m.targets});
  for (int64_t n = 0; n < m.rows; ++n) {
    std::vector<double> scores = m.scores(n);
    post_transform(scores, c.attributes().s("post_transform", "NONE"));
    for (size_t k = 0; k < scores.size(); ++k) {
      y.data<float>()[static_cast<size_t>(n * m.targets) + k] = static_cast<float>(scores[k]);
    }
  }
}

void infer_linear_regressor(InferContext& c) {
  c.set_shape(0, {row_count(c), c.attributes().i("targets", 1)});
}

// ---- Scaling and selection

void eval_scaler(EvalContext& c) {
  const Tensor& x = c.input(0);
  const std::vector<double> from = x.to_doubles();
  const std::vector<float> scale = c.attributes().floats("scale", {1});
  const std::vector<float> offset = c.attributes().floats("offset", {0});
  const size_t columns = x.rank() == 0 ? 1 : static_cast<size_t>(x.dims().back());
  for (const auto* list : {&scale, &offset}) {
    TREADLE_CHECK(list->size() == 1 || list->size() == columns, kInvalidModel,
                  "scale or offset has ", list->size(), " elements, expected 1 or ", columns);
  }
  Tensor& y = c.output(0, DType::kFloat, x.dims());
  for (size_t i = 0; i < from.size(); ++i) {
    const size_t k = i % columns;
    y.data<float>()[i] =
        static_cast<float>((from[i] - static_cast<double>(offset[offset.size() == 1 ? 0 : k])) *
                           static_cast<double>(scale[scale.size() == 1 ? 0 : k]));
  }
}

void eval_normalizer(EvalContext& c) {
  const Tensor& x = c.input(0);
  const std::string norm = c.attributes().s("norm", "MAX");
  TREADLE_CHECK(norm == "MAX" || norm == "L1" || norm == "L2", kInvalidModel,
                "attribute 'norm' is '", norm, "', expected MAX, L1 or L2");
  const auto [rows, columns] = rows_and_columns(x.dims());
  const std::vector<double> from = x.to_doubles();
  Tensor& y = c.output(0, DType::kFloat, x.dims());
  for (int64_t n = 0; n < rows; ++n) {
    double total = norm == "MAX" && columns > 0 ? from[static_cast<size_t>(n * columns)] : 0;
    for (int64_t i = 0; i < columns; ++i) {
      const double v = from[static_cast<size_t>(n * columns + i)];
      total = norm == "MAX" ? std::max(total, v)  // of the values, not of their magnitudes
                            : total + (norm == "L1" ? std::fabs(v) : v * v);
    }
    if (norm == "L2") total = std::sqrt(total);
    for (int64_t i = 0; i < columns; ++i) {
      const auto at = static_cast<size_t>(n * columns + i);
      y.data<float>()[at] = static_cast<float>(total == 0 ? from[at] : from[at] / total);
    }
  }
}

using MlNumbers = Types<float, double, int32_t, int64_t>;

void eval_binarizer(EvalContext& c) {
  const auto threshold = static_cast<double>(c.attributes().f("threshold", 0));
  Tensor& y = c.output(0, c.input(0).dims());
  dispatch(y.dtype(), MlNumbers{}, [&]<class T>() {
    map_unary<T, T>(c.input(0), y,
                    [=](T v) { return static_cast<double>(v) > threshold ? T{1} : T{0}; });
  });
}

void eval_feature_extractor(EvalContext& c) {
  const Tensor& x = c.input(0);
  const std::vector<int64_t> columns = c.input(1).to_ints();
  TREADLE_CHECK(x.rank() >= 1, kInvalidArgument, "expected at least a vector, got a scalar");
  Dims dims = x.rank() == 1 ? Dims{1, 0} : x.dims();
  dims.back() = static_cast<int64_t>(columns.size());
  const int64_t width = x.dims().back();
  for (int64_t k : columns) {
    TREADLE_CHECK(k >= 0 && k < width, kInvalidData, "column ", k, " of ", width, " columns");
  }
  const int64_t rows = element_count(Dims(x.dims().begin(), x.dims().end() - 1));
  Tensor& y = c.output(0, x.dtype(), dims);
  dispatch(x.dtype(), Types<float, double, int32_t, int64_t, std::string>{}, [&]<class T>() {
    size_t to = 0;
    for (int64_t n = 0; n < rows; ++n) {
      for (int64_t k : columns) y.data<T>()[to++] = x.data<T>()[static_cast<size_t>(n * width + k)];
    }
  });
}

void infer_feature_extractor(InferContext& c) {
  Dim count = 1;
  for (const Dim& d : c.shape(1)) count = count * d;
  Shape shape = c.rank(0) <= 1 ? Shape{1, 1} : c.shape(0);
  shape.back() = count;
  c.set_shape(0, shape);
}

constexpr const char* kMlTypes = "T=float,double,int32,int64";
constexpr const char* kMlDomain = "ai.onnx.ml";

constexpr OpDef kRows[] = {
    {.kind = "ZipMap",
     .inputs = "X:float",
     .outputs = "Z:any",
     .attributes = "classlabels_int64s:is classlabels_strings:ss",
     .infer = infer_zip_map,
     .eval = eval_zip_map,
     .domain = kMlDomain},
    {.kind = "LabelEncoder",
     .inputs = "X:T",
     .outputs = "Y:any",
     .types = "T=float,double,int16,int32,int64,string",
     .attributes = "default_float:f=-0 default_int64:i=-1 default_string:s=_Unused "
                   "default_tensor:t keys_floats:fs "
                   "keys_int64s:is keys_strings:ss keys_tensor:t values_floats:fs values_int64s:is "
                   "values_strings:ss values_tensor:t",
     .infer = infer_label_encoder,
     .eval = eval_label_encoder,
     .domain = kMlDomain},
    {.kind = "LinearClassifier",
     .inputs = "X:T",
     .outputs = "Y:any Z:float",
     .types = kMlTypes,
     .attributes = "classlabels_ints:is classlabels_strings:ss coefficients:fs! intercepts:fs "
                   "multi_class:i=0 "
                   "post_transform:s=NONE",
     .infer = infer_linear_classifier,
     .eval = eval_linear_classifier,
     .domain = kMlDomain},
    {.kind = "LinearRegressor",
     .inputs = "X:T",
     .outputs = "Y:float",
     .types = kMlTypes,
     .attributes = "coefficients:fs intercepts:fs post_transform:s=NONE targets:i=1",
     .infer = infer_linear_regressor,
     .eval = eval_linear_regressor,
     .domain = kMlDomain},
    {.kind = "Scaler",
     .inputs = "X:T",
     .outputs = "Y:float",
     .types = kMlTypes,
     .attributes = "offset:fs scale:fs",
     .infer = infer_same_shape,
     .eval = eval_scaler,
     .domain = kMlDomain},
    {.kind = "Normalizer",
     .inputs = "X:T",
     .outputs = "Y:float",
     .types = kMlTypes,
     .attributes = "norm:s=MAX",
     .infer = infer_same_shape,
     .eval = eval_normalizer,
     .domain = kMlDomain},
    {.kind = "Binarizer",
     .inputs = "X:T",
     .outputs = "Y:T",
     .types = kMlTypes,
     .attributes = "threshold:f=0",
     .infer = infer_same_shape,
     .eval = eval_binarizer,
     .domain = kMlDomain},
    {.kind = "ArrayFeatureExtractor",
     .inputs = "X:T Y:int64",
     .outputs = "Z:T",
     .types = "T=float,double,int32,int64,string",
     .infer = infer_feature_extractor,
     .eval = eval_feature_extractor,
     .domain = kMlDomain},
};

}  // namespace

std::span<const OpDef> ml_ops() { return kRows; }

}  // namespace treadle

// The encoders of features of ai.onnx.ml: OneHotEncoder, CategoryMapper, Imputer,
// FeatureVectorizer, and those of maps: CastMap, DictVectorizer.
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

template <class Key>
std::map<Key, size_t> positions(const std::vector<Key>& keys) {
  std::map<Key, size_t> index;
  for (size_t i = 0; i < keys.size(); ++i) index.insert_or_assign(keys[i], i);
  return index;
}

// Calls put(element, position among the keys) for each element of x that is one of them, and
// miss(element) for the rest.
template <class Key, class Put, class Miss>
void look_up(const Tensor& x, const std::vector<Key>& keys, Put&& put, Miss&& miss) {
  const std::map<Key, size_t> index = positions(keys);
  const auto elements = x.data<Key>();
  for (size_t i = 0; i < elements.size(); ++i) {
    const auto at = index.find(elements[i]);
    if (at == index.end())
      miss(i);
    else
      put(i, at->second);
  }
}

// ---- OneHotEncoder

void eval_one_hot_encoder(EvalContext& c) {
  const Tensor& x = c.input(0);
  const ClassLabels categories = class_labels(c.attributes(), "cats_int64s", "cats_strings");
  const bool zeros = c.attributes().i("zeros", 1) != 0;
  Dims dims = x.dims();
  dims.push_back(static_cast<int64_t>(categories.count()));
  Tensor& y = c.output(0, DType::kFloat, dims);
  const auto to = y.data<float>();
  std::fill(to.begin(), to.end(), 0.0F);
  const auto put = [&](size_t i, size_t category) { to[i * categories.count() + category] = 1; };
  const auto miss = [&](size_t i) {
    TREADLE_CHECK(zeros, kInvalidData, "element ", i, " is no category, and 'zeros' is 0");
  };
  if (x.dtype() == DType::kString)
    look_up(x, categories.strings, put, miss);
  else
    look_up(cast_tensor(x, DType::kInt64), categories.ints, put, miss);
}

void infer_one_hot_encoder(InferContext& c) {
  const ClassLabels categories = class_labels(c.attributes(), "cats_int64s", "cats_strings");
  const bool fits =
      c.dtype(0) == DType::kUndefined ||
      (c.dtype(0) == DType::kString ? categories.ints : std::vector<int64_t>{}).empty();
  TREADLE_CHECK(categories.count() > 0 && fits, kInvalidModel,
                "expected cats_strings for strings, cats_int64s for numbers");
  Shape shape = c.shape(0);
  shape.emplace_back(static_cast<int64_t>(categories.count()));
  c.set_shape(0, shape);
}

// ---- CategoryMapper

void eval_category_mapper(EvalContext& c) {
  const Tensor& x = c.input(0);
  const std::vector<int64_t> ints = c.attributes().ints("cats_int64s");
  const std::vector<std::string> strings = c.attributes().strings("cats_strings");
  TREADLE_CHECK(ints.size() == strings.size(), kInvalidModel, ints.size(), " cats_int64s for ",
                strings.size(), " cats_strings");
  if (x.dtype() == DType::kString) {
    const auto to = c.output(0, DType::kInt64, x.dims()).data<int64_t>();
    look_up(
        x, strings, [&](size_t i, size_t at) { to[i] = ints[at]; },
        [&](size_t i) { to[i] = c.attributes().i("default_int64", -1); });
  } else {
    const auto to = c.output(0, DType::kString, x.dims()).data<std::string>();
    look_up(
        x, ints, [&](size_t i, size_t at) { to[i] = strings[at]; },
        [&](size_t i) { to[i] = c.attributes().s("default_string", "_Unused"); });
  }
}

void infer_category_mapper(InferContext& c) {
  if (c.dtype(0) == DType::kUndefined) return;
  c.set_dtype(0, c.dtype(0) == DType::kString ? DType::kInt64 : DType::kString);
  infer_same_shape(c);
}

// ---- Imputer

void eval_imputer(EvalContext& c) {
  const Tensor& x = c.input(0);
  const Attributes& a = c.attributes();
  const bool floats = is_float(x.dtype());
  const size_t columns = x.rank() == 0 ? 1 : static_cast<size_t>(x.dims().back());
  Tensor& y = c.output(0, x.dims());
  dispatch(x.dtype(), Types<float, double, int32_t, int64_t>{}, [&]<class T>() {
    std::vector<T> imputed;
    T replaced{};
    if (floats) {
      for (float v : a.floats("imputed_value_floats")) imputed.push_back(convert<T>(v));
      replaced = convert<T>(a.f("replaced_value_float", 0));
    } else {
      for (int64_t v : a.ints("imputed_value_int64s")) imputed.push_back(convert<T>(v));
      replaced = convert<T>(a.i("replaced_value_int64", 0));
    }
    TREADLE_CHECK(imputed.size() == 1 || imputed.size() == columns, kInvalidModel, imputed.size(),
                  " imputed values, expected 1 or ", columns);
    const auto from = x.data<T>();
    const auto to = y.data<T>();
    for (size_t i = 0; i < to.size(); ++i) {
      const bool missing = from[i] == replaced || (from[i] != from[i] && replaced != replaced);
      to[i] = missing ? imputed[imputed.size() == 1 ? 0 : i % columns] : from[i];
    }
  });
}

// ---- FeatureVectorizer

// Columns of an input: what follows its first dimension.
template <class D>
D columns_of(const std::vector<D>& dims) {
  TREADLE_CHECK(!dims.empty(), kInvalidModel, "expected at least a vector, got a scalar");
  D columns = 1;
  for (size_t d = dims.size() == 1 ? 0 : 1; d < dims.size(); ++d) columns = columns * dims[d];
  return columns;
}

// Columns that each input gets in the output.
template <class D, class C>
std::vector<D> feature_columns(const C& c, const std::vector<std::vector<D>>& inputs) {
  TREADLE_CHECK(!inputs.empty(), kInvalidModel, "there are no inputs");
  const std::vector<int64_t> given = c.attributes().ints("inputdimensions");
  TREADLE_CHECK(given.empty() || given.size() == inputs.size(), kInvalidModel, given.size(),
                " inputdimensions for ", inputs.size(), " inputs");
  std::vector<D> columns;
  for (size_t i = 0; i < inputs.size(); ++i) {
    TREADLE_CHECK(given.empty() || given[i] >= 0, kInvalidModel, "inputdimensions holds ",
                  given[i]);
    columns.push_back(given.empty() ? columns_of(inputs[i]) : D(given[i]));
  }
  return columns;
}

void eval_feature_vectorizer(EvalContext& c) {
  std::vector<Dims> inputs;
  for (size_t i = 0; i < c.input_count(); ++i) inputs.push_back(c.input(i).dims());
  const std::vector<int64_t> columns = feature_columns(c, inputs);
  int64_t width = 0;
  for (int64_t n : columns) width = checked_add(width, n);
  const int64_t rows = inputs[0].size() == 1 ? 1 : inputs[0][0];
  Tensor& y = c.output(0, DType::kFloat, {rows, width});
  std::fill(y.data<float>().begin(), y.data<float>().end(), 0.0F);
  int64_t start = 0;
  for (size_t k = 0; k < inputs.size(); ++k) {
    const int64_t own = columns_of(inputs[k]);
    TREADLE_CHECK((inputs[k].size() == 1 ? 1 : inputs[k][0]) == rows, kInvalidArgument, "input ", k,
                  " has shape ", shape_text(inputs[k]), ", expected ", rows, " rows");
    const Tensor from = cast_tensor(c.input(k), DType::kFloat);
    for (int64_t n = 0; n < rows; ++n) {
      std::copy_n(from.data<float>().data() + n * own, std::min(own, columns[k]),
                  y.data<float>().data() + n * width + start);
    }
    start += columns[k];
  }
}

void infer_feature_vectorizer(InferContext& c) {
  std::vector<Shape> inputs;
  for (size_t i = 0; i < c.input_count(); ++i) inputs.push_back(c.shape(i));
  Dim width = 0;
  for (const Dim& n : feature_columns(c, inputs)) width = width + n;
  c.set_shape(0, {inputs[0].size() == 1 ? Dim(1) : inputs[0][0], width});
}

// ---- CastMap, DictVectorizer

const Map& map_input(EvalContext& c) {
  const auto* map = std::get_if<std::shared_ptr<const Map>>(&c.value(0));
  TREADLE_CHECK(map != nullptr, kInvalidData, "the input is no map");
  return **map;
}

void check_map(InferContext& c) {
  TREADLE_CHECK(c.type(0).kind == Type::Kind::kMap, kInvalidModel, "the input is ",
                c.type(0).text(), ", expected a map");
}

DType cast_map_target(const Attributes& a) {
  const std::string to = a.s("cast_to", "TO_FLOAT");
  if (to == "TO_STRING") return DType::kString;
  TREADLE_CHECK(to == "TO_FLOAT" || to == "TO_INT64", kInvalidModel, "attribute 'cast_to' is '", to,
                "', expected TO_FLOAT, TO_STRING or TO_INT64");
  return to == "TO_FLOAT" ? DType::kFloat : DType::kInt64;
}

bool is_sparse(const Attributes& a) {
  const std::string form = a.s("map_form", "DENSE");
  TREADLE_CHECK(form == "DENSE" || form == "SPARSE", kInvalidModel, "attribute 'map_form' is '",
                form, "', expected DENSE or SPARSE");
  return form == "SPARSE";
}

void eval_cast_map(EvalContext& c) {
  const Map& map = map_input(c);
  const DType dtype = cast_map_target(c.attributes());
  const Tensor values = cast_tensor(map.values, dtype);
  const std::vector<int64_t> keys = map.keys.to_ints();
  std::map<int64_t, size_t> order = positions(keys);
  const bool sparse = is_sparse(c.attributes());
  const int64_t width =
      sparse ? c.attributes().i("max_map", 1) : static_cast<int64_t>(order.size());
  TREADLE_CHECK(width >= 0, kInvalidModel, "attribute 'max_map' is ", width);
  TREADLE_CHECK(!sparse || order.empty() || order.begin()->first >= 0, kInvalidData,
                "the map has the negative key ", order.begin()->first);
  Tensor& y = c.output(0, dtype, {1, width});
  dispatch(dtype, Types<float, int64_t, std::string>{}, [&]<class T>() {
    const auto to = y.data<T>();
    // What a sparse map lacks is this text, as the operator's first implementation writes it.
    T absent{};
    if constexpr (std::is_same_v<T, std::string>) absent = "0.f";
    std::fill(to.begin(), to.end(), absent);
    size_t next = 0;
    for (const auto& [key, at] : order) {
      const size_t index = sparse ? static_cast<size_t>(key) : next++;
      if (index < to.size()) to[index] = values.data<T>()[at];
    }
  });
}

void infer_cast_map(InferContext& c) {
  check_map(c);
  c.set_dtype(0, cast_map_target(c.attributes()));
  const bool sparse = is_sparse(c.attributes());
  c.set_shape(0, {1, sparse ? Dim(c.attributes().i("max_map", 1)) : Dim::unknown()});
}

constexpr const char* kIntVocabulary = "int64_vocabulary";
constexpr const char* kStringVocabulary = "string_vocabulary";

void eval_dict_vectorizer(EvalContext& c) {
  const Map& map = map_input(c);
  const ClassLabels words = class_labels(c.attributes(), kIntVocabulary, kStringVocabulary);
  TREADLE_CHECK(map.keys.dtype() == words.dtype(), kInvalidData, "the map's keys are ",
                dtype_name(map.keys.dtype()), ", the vocabulary is ", dtype_name(words.dtype()));
  Tensor& y = c.output(0, map.values.dtype(), {1, static_cast<int64_t>(words.count())});
  auto fill = [&]<class Key, class T>(const std::vector<Key>& vocabulary, Types<T>) {
    const auto keys = map.keys.data<Key>();
    const std::map<Key, size_t> index = positions(std::vector<Key>(keys.begin(), keys.end()));
    for (size_t i = 0; i < vocabulary.size(); ++i) {
      const auto at = index.find(vocabulary[i]);
      y.data<T>()[i] = at == index.end() ? T{} : map.values.data<T>()[at->second];
    }
  };
  dispatch(y.dtype(), Types<float, double, int64_t, std::string>{}, [&]<class T>() {
    words.strings.empty() ? fill(words.ints, Types<T>{}) : fill(words.strings, Types<T>{});
  });
}

void infer_dict_vectorizer(InferContext& c) {
  check_map(c);
  const ClassLabels words = class_labels(c.attributes(), kIntVocabulary, kStringVocabulary);
  c.set_dtype(0, c.type(0).dtype);
  c.set_shape(0, {1, static_cast<int64_t>(words.count())});
}

constexpr const char* kMlDomain = "ai.onnx.ml";
constexpr const char* kMlTypes = "T=float,double,int32,int64";

constexpr OpDef kRows[] = {
    {.kind = "OneHotEncoder",
     .inputs = "X:T",
     .outputs = "Y:float",
     .types = "T=float,double,int32,int64,string",
     .attributes = "cats_int64s:is cats_strings:ss zeros:i=1",
     .infer = infer_one_hot_encoder,
     .eval = eval_one_hot_encoder,
     .domain = kMlDomain},
    {.kind = "CategoryMapper",
     .inputs = "X:T",
     .outputs = "Y:any",
     .types = "T=int64,string",
     .attributes = "cats_int64s:is cats_strings:ss default_int64:i=-1 default_string:s=_Unused",
     .infer = infer_category_mapper,
     .eval = eval_category_mapper,
     .domain = kMlDomain},
    {.kind = "Imputer",
     .inputs = "X:T",
     .outputs = "Y:T",
     .types = kMlTypes,
     .attributes = "imputed_value_floats:fs imputed_value_int64s:is replaced_value_float:f=0 "
                   "replaced_value_int64:i=0",
     .infer = infer_same_shape,
     .eval = eval_imputer,
     .domain = kMlDomain},
    {.kind = "FeatureVectorizer",
     .inputs = "X*:T",
     .outputs = "Y:float",
     .types = kMlTypes,
     .attributes = "inputdimensions:is",
     .infer = infer_feature_vectorizer,
     .eval = eval_feature_vectorizer,
     .domain = kMlDomain},
    {.kind = "CastMap",
     .inputs = "X:any",
     .outputs = "Y:any",
     .attributes = "cast_to:s=TO_FLOAT map_form:s=DENSE max_map:i=1",
     .infer = infer_cast_map,
     .eval = eval_cast_map,
     .domain = kMlDomain},
    {.kind = "DictVectorizer",
     .inputs = "X:any",
     .outputs = "Y:any",
     .attributes = "int64_vocabulary:is string_vocabulary:ss",
     .infer = infer_dict_vectorizer,
     .eval = eval_dict_vectorizer,
     .domain = kMlDomain},
};

}  // namespace

std::span<const OpDef> ml_feature_ops() { return kRows; }

}  // namespace treadle

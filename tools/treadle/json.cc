#include "tools/treadle/json.h"

#include <cmath>

#include "tools/treadle/files.h"

namespace treadle::tool {
namespace {

constexpr size_t kMaxRank = 32;
constexpr int kMaxDepth = 256;  // what prints and compares JSON recurs

Dims dims_of(const Json& json) {
  Dims dims;
  for (const Json* j = &json; j->is_array(); j = &j->front()) {
    TREADLE_CHECK(dims.size() < kMaxRank, kInvalidArgument, "more than ", kMaxRank,
                  " lists in each other");
    dims.push_back(static_cast<int64_t>(j->size()));
    if (j->empty()) break;
  }
  return dims;
}

// Appends the elements, row by row; all lists of a depth must have the same length.
void flatten(const Json& json, const Dims& dims, size_t depth, std::vector<const Json*>& out) {
  TREADLE_CHECK(json.is_array() == (depth < dims.size()), kInvalidArgument,
                "lists and elements side by side");
  if (depth == dims.size()) return out.push_back(&json);
  TREADLE_CHECK(static_cast<int64_t>(json.size()) == dims[depth], kInvalidArgument, "a list of ",
                json.size(), " beside one of ", dims[depth]);
  for (const Json& item : json) flatten(item, dims, depth + 1, out);
}

template <class T>
bool holds(const Json& json) {
  if constexpr (std::is_same_v<T, bool>) {
    return json.is_boolean();
  } else if constexpr (std::is_same_v<T, uint64_t>) {
    return json.is_number_unsigned();
  } else if constexpr (std::is_integral_v<T>) {
    if (!json.is_number_integer()) return false;
    const bool wraps = json.is_number_unsigned() && json.get<uint64_t>() > INT64_MAX;
    return !wraps && std::in_range<T>(json.get<int64_t>());
  } else {
    return json.is_number() || json.is_null();
  }
}

template <class T>
T element(const Json& json, DType dtype) {
  TREADLE_CHECK(holds<T>(json), kInvalidArgument,
                json.dump(-1, ' ', false, Json::error_handler_t::replace), " is no ",
                dtype_name(dtype));
  if constexpr (std::is_integral_v<T>) {
    return json.get<T>();
  } else {
    return static_cast<T>(json.is_null() ? Compute<T>(NAN) : json.get<Compute<T>>());
  }
}

}  // namespace

Json parse_json(const std::string& text, const std::string& where) {
  const auto not_too_deep = [&](int depth, Json::parse_event_t, const Json&) {
    TREADLE_CHECK(depth <= kMaxDepth, kInvalidArgument, "'", where, "' nests more than ", kMaxDepth,
                  " lists or objects in each other");
    return true;
  };
  Json json = Json::parse(text, not_too_deep, false);
  TREADLE_CHECK(!json.is_discarded(), kInvalidArgument, "'", where, "' is no JSON");
  return json;
}

Json read_json(const std::string& path) { return parse_json(read_file(path), path); }

Tensor json_tensor(const Json& json, DType dtype) {
  const Dims dims = dims_of(json);
  std::vector<const Json*> items;
  flatten(json, dims, 0, items);
  Tensor t(dtype, dims);
  if (dtype == DType::kString) {
    for (size_t i = 0; i < items.size(); ++i) {
      TREADLE_CHECK(items[i]->is_string(), kInvalidArgument, items[i]->dump(), " is no string");
      t.data<std::string>()[i] = items[i]->get<std::string>();
    }
    return t;
  }
  TREADLE_CHECK(kNumbers.has(dtype) || dtype == DType::kBool, kInvalidArgument,
                "JSON has no elements of type ", dtype_name(dtype));
  dispatch(dtype, NumberOrBoolTypes{}, [&]<class T>() {
    for (size_t i = 0; i < items.size(); ++i) t.data<T>()[i] = element<T>(*items[i], dtype);
  });
  return t;
}

}  // namespace treadle::tool

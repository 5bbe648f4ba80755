#include "tools/treadle/values.h"

#include <algorithm>
#include <cmath>

namespace treadle::tool {
namespace {

constexpr size_t kFewElements = 12;
constexpr size_t kJsonElements = 1000;

bool has_numbers(const Tensor& t) { return kNumbers.has(t.dtype()) || t.dtype() == DType::kBool; }

struct Statistics {
  double low = INFINITY, high = -INFINITY, sum = 0;  // of the finite elements
  size_t finite = 0, nan = 0, inf = 0;
  double mean() const { return sum / static_cast<double>(finite); }
};

Statistics statistics(const std::vector<double>& x) {
  Statistics s;
  for (double v : x) {
    if (std::isnan(v)) {
      ++s.nan;
    } else if (std::isinf(v)) {
      ++s.inf;
    } else {
      ++s.finite;
      s.low = std::min(s.low, v);
      s.high = std::max(s.high, v);
      s.sum += v;
    }
  }
  return s;
}

// Floats and integers as they are (64 bits too), bools, strings; null for other elements.
Json elements(const Tensor& t) {
  Json list = Json::array();
  if (t.dtype() == DType::kString) {
    for (const std::string& s : t.data<std::string>()) list.push_back(s);
  } else if (has_numbers(t)) {
    dispatch(t.dtype(), NumberOrBoolTypes{}, [&]<class T>() {
      for (const T& x : t.data<T>()) list.push_back(static_cast<Compute<T>>(x));
    });
  } else {
    return nullptr;
  }
  return list;
}

std::string joined_elements(const Tensor& t) {
  std::string text = "[";
  const auto add = [&](const std::string& x) { text += (text.size() > 1 ? ", " : "") + x; };
  if (t.dtype() == DType::kString) {
    for (const std::string& s : t.data<std::string>())
      add(Json(s).dump(-1, ' ', false, Json::error_handler_t::replace));
  } else {
    dispatch(t.dtype(), NumberOrBoolTypes{}, [&]<class T>() {
      for (const T& x : t.data<T>()) add(cat(static_cast<Compute<T>>(x)));
    });
  }
  return text + "]";
}

std::string tensor_summary(const Tensor& t) {
  std::string text = cat(dtype_name(t.dtype()), shape_text(t.dims()));
  const auto count = static_cast<size_t>(t.count());
  const bool numbers = has_numbers(t);
  if (count == 0 || !(numbers || t.dtype() == DType::kString)) return text;
  if (count <= kFewElements) return text + "  " + joined_elements(t);
  if (!numbers) return text;
  const Statistics s = statistics(t.to_doubles());
  if (s.finite > 0) text += cat("  min ", s.low, "  max ", s.high, "  mean ", s.mean());
  if (s.nan > 0) text += cat("  ", s.nan, " NaN");
  if (s.inf > 0) text += cat("  ", s.inf, " infinite");
  return text;
}

std::string sequence_summary(const Sequence& list) {
  std::string text = cat("a sequence of ", list.size());
  for (size_t i = 0; i < std::min(list.size(), kFewElements); ++i)
    text += (i == 0 ? ": " : "; ") + summary(list[i]);
  return text + (list.size() > kFewElements ? "; ..." : "");
}

void add_numbers(const Tensor& t, Json& json) {
  if (!has_numbers(t) || t.count() == 0) return;
  const Statistics s = statistics(t.to_doubles());
  if (s.finite > 0) json.update({{"min", s.low}, {"max", s.high}, {"mean", s.mean()}});
  json.update({{"nan", s.nan}, {"infinite", s.inf}});
}

}  // namespace

std::string printable(const std::string& text) {
  std::string out;
  for (char c : text) {
    if (c == '\n') {
      out += "\\n";
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      out += '?';
    } else {
      out += c;
    }
  }
  return out;
}

size_t count_nan(const Value& value) {
  size_t count = 0;
  if (const auto* t = std::get_if<Tensor>(&value)) {
    if (has_numbers(*t)) count = statistics(t->to_doubles()).nan;
  } else if (const auto* s = std::get_if<std::shared_ptr<const Sequence>>(&value)) {
    for (const Value& v : **s) count += count_nan(v);
  } else if (const auto* m = std::get_if<std::shared_ptr<const Map>>(&value)) {
    count = count_nan((*m)->values);
  } else if (const auto* o = std::get_if<Optional>(&value); o != nullptr && o->value) {
    count = count_nan(*o->value);
  }
  return count;
}

std::string summary(const Value& value) {
  if (const auto* t = std::get_if<Tensor>(&value)) return tensor_summary(*t);
  if (const auto* s = std::get_if<std::shared_ptr<const Sequence>>(&value))
    return sequence_summary(**s);
  if (const auto* m = std::get_if<std::shared_ptr<const Map>>(&value))
    return cat("a map from ", tensor_summary((*m)->keys), " to ", tensor_summary((*m)->values));
  const auto* o = std::get_if<Optional>(&value);
  if (o != nullptr && o->value) return "an optional of " + summary(*o->value);
  return o != nullptr ? "an empty optional" : "nothing";
}

Json value_json(const std::string& name, const Value& value) {
  Json json;
  if (!name.empty()) json["name"] = name;
  if (const auto* t = std::get_if<Tensor>(&value)) {
    json.update({{"dtype", std::string(dtype_name(t->dtype()))}, {"shape", t->dims()}});
    add_numbers(*t, json);
    if (static_cast<size_t>(t->count()) <= kJsonElements) json["values"] = elements(*t);
  } else if (const auto* s = std::get_if<std::shared_ptr<const Sequence>>(&value)) {
    json["sequence"] = Json::array();
    for (const Value& v : **s) json["sequence"].push_back(value_json("", v));
  } else if (const auto* m = std::get_if<std::shared_ptr<const Map>>(&value)) {
    json["map"] = {{"keys", elements((*m)->keys)}, {"values", elements((*m)->values)}};
  } else if (const auto* o = std::get_if<Optional>(&value)) {
    json["optional"] = o->value ? value_json("", *o->value) : Json();
  }
  return json;
}

}  // namespace treadle::tool

#include "graph/attributes.h"

#include <algorithm>
#include <cstring>

namespace treadle {
namespace {

constexpr std::string_view kKinds[] = {"i", "f", "s", "is", "fs", "ss", "t", "ts", "tp"};

template <class T>
std::string list_text(const std::vector<T>& list) {
  std::string out = "[";
  for (size_t i = 0; i < list.size(); ++i) out += cat(i != 0 ? ", " : "", list[i]);
  return out + "]";
}

}  // namespace

std::string_view attribute_kind(const Attribute& value) { return kKinds[value.index()]; }

std::string attribute_text(const Attribute& value) {
  struct Visitor {
    std::string operator()(int64_t v) const { return std::to_string(v); }
    std::string operator()(float v) const { return cat(v); }
    std::string operator()(const std::string& v) const { return cat('"', v, '"'); }
    std::string operator()(const std::vector<int64_t>& v) const { return list_text(v); }
    std::string operator()(const std::vector<float>& v) const { return list_text(v); }
    std::string operator()(const std::vector<std::string>& v) const { return list_text(v); }
    std::string operator()(const Tensor& v) const {
      return cat(dtype_name(v.dtype()), shape_text(v.dims()));
    }
    std::string operator()(const std::vector<Tensor>& v) const { return cat(v.size(), " tensors"); }
    std::string operator()(const Type& v) const { return v.text(); }
  };
  return std::visit(Visitor{}, value);
}

bool operator==(const Tensor& a, const Tensor& b) {
  if (a.dtype() != b.dtype() || a.dims() != b.dims()) return false;
  if (a.dtype() == DType::kString) {
    return std::ranges::equal(a.data<std::string>(), b.data<std::string>());
  }
  if (a.bytes() == 0 || a.identity() == b.identity()) return true;
  const Tensor one = a.resident(), other = b.resident();
  return std::memcmp(one.raw(), other.raw(), a.bytes()) == 0;
}

const Attribute* Attributes::find(std::string_view name) const {
  for (const auto& [key, value] : list_) {
    if (key == name) return &value;
  }
  return nullptr;
}

void Attributes::set(std::string_view name, Attribute value) {
  for (auto& [key, old] : list_) {
    if (key == name) {
      old = std::move(value);
      return;
    }
  }
  list_.emplace_back(std::string(name), std::move(value));
}

void Attributes::erase(std::string_view name) {
  std::erase_if(list_, [&](const auto& entry) { return entry.first == name; });
}

namespace {
template <class T>
const T* typed(const Attributes& attributes, std::string_view name) {
  const Attribute* found = attributes.find(name);
  if (found == nullptr) return nullptr;
  const T* value = std::get_if<T>(found);
  TREADLE_CHECK(value != nullptr, kInvalidModel, "attribute '", name, "' has kind ",
                attribute_kind(*found));
  return value;
}
}  // namespace

int64_t Attributes::i(std::string_view name, int64_t fallback) const {
  const auto* v = typed<int64_t>(*this, name);
  return v != nullptr ? *v : fallback;
}
float Attributes::f(std::string_view name, float fallback) const {
  const auto* v = typed<float>(*this, name);
  return v != nullptr ? *v : fallback;
}
std::string Attributes::s(std::string_view name, std::string_view fallback) const {
  const auto* v = typed<std::string>(*this, name);
  return v != nullptr ? *v : std::string(fallback);
}
std::vector<int64_t> Attributes::ints(std::string_view name, std::vector<int64_t> fallback) const {
  const auto* v = typed<std::vector<int64_t>>(*this, name);
  return v != nullptr ? *v : fallback;
}
std::vector<float> Attributes::floats(std::string_view name, std::vector<float> fallback) const {
  const auto* v = typed<std::vector<float>>(*this, name);
  return v != nullptr ? *v : fallback;
}
std::vector<std::string> Attributes::strings(std::string_view name) const {
  const auto* v = typed<std::vector<std::string>>(*this, name);
  return v != nullptr ? *v : std::vector<std::string>{};
}
const Tensor* Attributes::tensor(std::string_view name) const { return typed<Tensor>(*this, name); }

namespace {
bool same(const Attribute& a, const Attribute& b) {
  if (a.index() != b.index()) return false;
  if (const auto* t = std::get_if<Type>(&a)) return t->text() == std::get<Type>(b).text();
  return std::visit(
      [&](const auto& left) {
        using T = std::decay_t<decltype(left)>;
        if constexpr (std::is_same_v<T, Type>) {
          return false;
        } else {
          return left == std::get<T>(b);
        }
      },
      a);
}
}  // namespace

bool operator==(const Attributes& a, const Attributes& b) {
  return a.size() == b.size() && std::ranges::all_of(a, [&](const auto& entry) {
           const Attribute* other = b.find(entry.first);
           return other != nullptr && same(entry.second, *other);
         });
}

std::string Type::text() const {
  switch (kind) {
    case Kind::kTensor: return cat(dtype_name(dtype), shape ? shape_text(*shape) : "?");
    case Kind::kSequence: return cat("sequence(", element ? element->text() : "?", ")");
    case Kind::kOptional: return cat("optional(", element ? element->text() : "?", ")");
    case Kind::kMap: return cat("map(", dtype_name(key), ", ", dtype_name(dtype), ")");
  }
  return "?";
}

}  // namespace treadle

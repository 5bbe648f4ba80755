// A node's attributes: a short ordered list of name and value, in the kinds ONNX has. Graph-valued
// attributes are the node's subgraphs (graph.h) instead.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "graph/base/tensor.h"
#include "graph/type.h"

namespace treadle {

using Attribute =
    std::variant<int64_t, float, std::string, std::vector<int64_t>, std::vector<float>,
                 std::vector<std::string>, Tensor, std::vector<Tensor>, Type>;

// The one-letter kind of an attribute value as the rows spell it: i f s is fs ss t ts tp.
std::string_view attribute_kind(const Attribute& value);
std::string attribute_text(const Attribute& value);
bool operator==(const Tensor& a, const Tensor& b);  // dtype, dims and bytes

class Attributes {
 public:
  Attributes() = default;
  Attributes(std::initializer_list<std::pair<std::string, Attribute>> list) : list_(list) {}
  const Attribute* find(std::string_view name) const;
  bool has(std::string_view name) const { return find(name) != nullptr; }
  void set(std::string_view name, Attribute value);
  void erase(std::string_view name);
  auto begin() const { return list_.begin(); }
  auto end() const { return list_.end(); }
  size_t size() const { return list_.size(); }

  // The value, or `fallback` where absent; kInvalidModel when it has another kind.
  int64_t i(std::string_view name, int64_t fallback) const;
  float f(std::string_view name, float fallback) const;
  std::string s(std::string_view name, std::string_view fallback) const;
  std::vector<int64_t> ints(std::string_view name, std::vector<int64_t> fallback = {}) const;
  std::vector<float> floats(std::string_view name, std::vector<float> fallback = {}) const;
  std::vector<std::string> strings(std::string_view name) const;
  const Tensor* tensor(std::string_view name) const;  // null where absent

 private:
  std::vector<std::pair<std::string, Attribute>> list_;
};
bool operator==(const Attributes& a,
                const Attributes& b);  // the same names and values in any order

}  // namespace treadle

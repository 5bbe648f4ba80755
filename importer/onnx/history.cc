#include "importer/onnx/history.h"

#include <algorithm>
#include <charconv>
#include <unordered_map>

#include "graph/ops/op.h"
#include "importer/onnx/words.h"

namespace treadle::onnx {
namespace {

struct Row {
  std::string_view kind;
  std::string_view domain;
  int64_t since;
  std::string_view inputs;
  std::string_view outputs;
  std::string_view attributes;
};
constexpr Row kRows[] = {
#define TREADLE_OPERATORS
#include "importer/onnx/history.inc"
#undef TREADLE_OPERATORS
};

struct IrRow {
  std::string_view domain;
  int64_t opset;
  int64_t ir;
};
constexpr IrRow kIrVersions[] = {
#include "importer/onnx/history.inc"
};

// Before opset 13 the dimensions from `axis` on were taken as one, and the default was 1.
bool is_softmax_of_last(const Graph& graph, const Node& node) {
  const auto& shape = graph.value(node.inputs[0]).type.shape;
  if (!shape || shape->empty() || !node.attributes.has("axis")) return false;
  const int64_t axis =
      resolve_axis(node.attributes.i("axis", -1), static_cast<int64_t>(shape->size()));
  return std::all_of(shape->begin() + axis + 1, shape->end(), [](const Dim& d) { return d.is(1); });
}

bool has_old_grid_mode(const Graph&, const Node& node) {
  const std::string mode = node.attributes.s("mode", "bilinear");
  return mode != "linear" && mode != "cubic";
}

bool is_per_tensor(const Graph& graph, const Node& node) {
  const auto& scale = graph.value(node.inputs[1]).type.shape;
  return scale && scale->empty();
}

// Negative indices came with opset 11.
bool has_positive_indices(const Graph& graph, const Node& node) {
  const Tensor& indices = graph.value(node.inputs[1]).constant;
  if (!indices.defined()) return false;
  return std::ranges::all_of(indices.to_ints(), [](int64_t i) { return i >= 0; });
}

// Before opset 22 ceil_mode could yield a last window that lies in the padding alone.
bool has_no_window_in_padding(const Graph&, const Node& node) {
  const Attributes& a = node.attributes;
  if (a.i("ceil_mode", 0) == 0 || a.s("auto_pad", "NOTSET") != "NOTSET") return true;
  const auto kernel = a.ints("kernel_shape");
  const auto strides = a.ints("strides", std::vector<int64_t>(kernel.size(), 1));
  const auto pads = a.ints("pads", std::vector<int64_t>(2 * kernel.size(), 0));
  if (strides.size() != kernel.size() || pads.size() != 2 * kernel.size()) return false;
  for (size_t i = 0; i < kernel.size(); ++i) {
    if (strides[i] + pads[kernel.size() + i] > kernel[i]) return false;
  }
  return true;
}

// Versions that changed what the same signature means: below them a node would mean something
// else, unless `still` says that this one does not.
struct Meaning {
  std::string_view kinds;
  int64_t since;
  bool (*still)(const Graph&, const Node&);
};
constexpr Meaning kMeanings[] = {
    {"DFT", 20, nullptr},
    {"QuantizeLinear DequantizeLinear", 13, is_per_tensor},
    {"Gather", 11, has_positive_indices},
    {"MaxPool AveragePool LpPool", 22, has_no_window_in_padding},
    {"OneHot Resize", 11, nullptr},
    {"GridSample", 20, has_old_grid_mode},
    {"Softmax LogSoftmax Hardmax", 13, is_softmax_of_last},
    {"GroupNormalization", 21, nullptr},
    {"RoiAlign", 16, nullptr},
    {"Scan", 9, nullptr},
};
constexpr int64_t kNegativeAxes = 11;

struct Formal {
  uint32_t types = 0;  // as in history.inc
  bool optional = false;
  bool variadic = false;
};
struct Version {
  int64_t since = 0;
  bool deprecated = false;
  std::vector<Formal> inputs;
  std::vector<Formal> outputs;
  std::vector<std::string_view> attributes;
};

std::vector<std::string_view> words(std::string_view text) {
  std::vector<std::string_view> list;
  while (!text.empty()) {
    const size_t end = std::min(text.find(' '), text.size());
    list.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return list;
}

std::vector<Formal> formals(std::string_view text) {
  std::vector<Formal> list;
  for (std::string_view word : words(text)) {
    Formal f;
    std::from_chars(word.data(), word.data() + word.size(), f.types, 16);
    f.optional = word.back() == '?';
    f.variadic = word.back() == '*';
    list.push_back(f);
  }
  return list;
}

using Versions = std::vector<Version>;

const Versions* versions_of(const Op& op) {
  static const auto* const kIndex = [] {
    auto* index = new std::unordered_map<std::string, Versions>;
    for (const Row& row : kRows) {
      const bool deprecated = row.inputs.empty() && row.outputs.empty();
      const std::string prefix = row.domain.empty() ? "" : std::string(row.domain) + ".";
      (*index)[prefix + std::string(row.kind)].push_back({row.since, deprecated,
                                                          formals(row.inputs), formals(row.outputs),
                                                          words(row.attributes)});
    }
    return index;
  }();
  const auto it = kIndex->find(op.full_name());
  return it == kIndex->end() ? nullptr : &it->second;
}

const Version* version_at(const Versions& versions, int64_t opset) {
  const Version* found = nullptr;
  for (const Version& v : versions) {
    if (v.since <= opset) found = &v;
  }
  return found;
}

const Formal* formal_at(const std::vector<Formal>& list, size_t i) {
  if (i < list.size()) return &list[i];
  return !list.empty() && list.back().variadic ? &list.back() : nullptr;
}

// The bit of a type in the table's masks.
unsigned type_bit(const Type& type) {
  if (type.is_tensor()) return static_cast<unsigned>(type.dtype);
  return type.kind == Type::Kind::kOptional ? 31 : 0;
}

std::string why_wrong_values(const Graph& graph, const std::vector<ValueId>& values,
                             const std::vector<Formal>& formals_there,
                             const std::vector<Param>& params, std::string_view what) {
  for (size_t i = 0; i < values.size(); ++i) {
    const std::string& name = params[std::min(i, params.size() - 1)].name;
    const Formal* formal = formal_at(formals_there, i);
    if (!values[i].valid()) {
      if (formal == nullptr || formal->optional || formal->variadic) continue;
      return cat(what, " '", name, "' must be given");
    }
    if (formal == nullptr) return cat("has no ", what, " '", name, "'");
    const Type& type = graph.value(values[i]).type;
    const bool known = !type.is_tensor() || type.dtype != DType::kUndefined;
    const unsigned bit = type_bit(type);
    if (known && ((formal->types >> bit) & 1u) == 0) {
      return cat(what, " '", name, "' cannot be ", type.text());
    }
  }
  for (size_t i = values.size(); i < formals_there.size(); ++i) {
    const Formal& f = formals_there[i];
    if (what == "input" && !f.optional && !f.variadic) return cat("needs ", i + 1, " inputs");
  }
  return "";
}

bool has_negative_axis(const Node& node) {
  const Attribute* axis = node.attributes.find("axis");
  const auto* value = axis != nullptr ? std::get_if<int64_t>(axis) : nullptr;
  return value != nullptr && *value < 0;
}

std::string why_wrong_meaning(const Graph& graph, const Node& node, int64_t opset) {
  if (!node.op->domain.empty()) return "";
  for (const Meaning& m : kMeanings) {
    if (opset >= m.since || !has_word(m.kinds, node.op->kind)) continue;
    if (m.still == nullptr || !m.still(graph, node))
      return cat("means something else before opset ", m.since);
  }
  if (opset < kNegativeAxes && has_negative_axis(node))
    return cat("a negative axis needs opset ", kNegativeAxes);
  return "";
}

}  // namespace

bool is_default(const Node& node, std::string_view name, const Attribute& value) {
  const AttributeDef* def = node.op->attribute(name);
  if (def == nullptr || def->default_text.empty()) return false;
  if (const auto* i = std::get_if<int64_t>(&value)) return std::to_string(*i) == def->default_text;
  if (const auto* s = std::get_if<std::string>(&value)) return *s == def->default_text;
  if (const auto* f = std::get_if<float>(&value))
    return *f == std::strtof(def->default_text.c_str(), nullptr);
  return false;
}

bool has_attribute(const Node& node, std::string_view name, int64_t opset) {
  const Versions* versions = versions_of(*node.op);
  const Version* version = versions != nullptr ? version_at(*versions, opset) : nullptr;
  if (version == nullptr) return true;
  return std::ranges::find(version->attributes, name) != version->attributes.end();
}

std::string why_illegal(const Graph& graph, const Node& node, int64_t opset) {
  const Versions* versions = versions_of(*node.op);
  if (versions == nullptr) return "";
  const Version* version = version_at(*versions, opset);
  if (version == nullptr) return cat("does not exist before opset ", versions->front().since);
  if (version->deprecated) return cat("is deprecated from opset ", version->since, " on");
  if (std::string why = why_wrong_meaning(graph, node, opset); !why.empty()) return why;
  std::vector<ValueId> inputs = node.inputs;
  while (!inputs.empty() && !inputs.back().valid()) inputs.pop_back();
  if (std::string why = why_wrong_values(graph, inputs, version->inputs, node.op->inputs, "input");
      !why.empty()) {
    return why;
  }
  if (std::string why =
          why_wrong_values(graph, node.outputs, version->outputs, node.op->outputs, "output");
      !why.empty()) {
    return why;
  }
  for (const auto& [name, value] : node.attributes) {
    if (!has_attribute(node, name, opset) && !is_default(node, name, value)) {
      return cat("has no attribute '", name, "'");
    }
  }
  return "";
}

int64_t ir_version_of(std::string_view domain, int64_t opset) {
  for (const IrRow& row : kIrVersions) {
    if (row.domain == domain && row.opset == opset) return row.ir;
  }
  return 0;
}

}  // namespace treadle::onnx

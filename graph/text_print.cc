// Prints a graph in ONNX's textual syntax.
#include <charconv>
#include <cmath>
#include <unordered_set>

#include "graph/ops/op.h"
#include "graph/text.h"

namespace treadle {
namespace {

constexpr int64_t kIrVersion = 13;

bool is_identifier(std::string_view text) {
  const auto letter = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
  };
  if (text.empty() || !letter(text[0])) return false;
  for (char c : text) {
    if (!letter(c) && !(c >= '0' && c <= '9')) return false;
  }
  return true;
}

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '\\' || c == '"') out += '\\';
    out += c;
  }
  return out + "\"";
}

// Names that the reader would take for types are quoted too.
std::string id_text(std::string_view name) {
  const bool type_word = dtype_from_name(name) != DType::kUndefined || name == "seq" ||
                         name == "map" || name == "optional" || name == "sparse_tensor" ||
                         name == "opaque";
  return is_identifier(name) && !type_word ? std::string(name) : quoted(name);
}

template <class T>
std::string number(T value) {
  if constexpr (std::is_floating_point_v<T>) {
    if (std::isnan(value)) return "nan";
  }
  char buffer[64];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value).ptr;
  return std::string(buffer, end);
}

// A float attribute must not look like an integer.
std::string float_text(float value) {
  std::string text = number(value);
  if (std::isfinite(value) && text.find_first_of(".e") == std::string::npos) text += ".0";
  return text;
}

// Of a packed tensor, as a bit pattern; sign-extended for int4 and int2.
int64_t packed_number(const Tensor& t, int64_t index) {
  const int bits = dtype_bits(t.dtype());
  const int64_t raw = packed_element(t.raw(), bits, index);
  const bool is_signed = t.dtype() == DType::kInt4 || t.dtype() == DType::kInt2;
  return is_signed && (raw >> (bits - 1)) != 0 ? raw - (int64_t{1} << bits) : raw;
}

template <class T>
std::string join(std::span<const T> items) {
  std::string out;
  for (size_t i = 0; i < items.size(); ++i) {
    if (i != 0) out += ", ";
    if constexpr (std::is_same_v<T, std::string>) {
      out += quoted(items[i]);
    } else if constexpr (std::is_same_v<T, std::complex<float>> ||
                         std::is_same_v<T, std::complex<double>>) {
      out += number(items[i].real()) + ", " + number(items[i].imag());
    } else if constexpr (std::is_same_v<T, bool>) {
      out += items[i] ? "1" : "0";
    } else if constexpr (is_reduced_float<T>) {
      out += number(items[i].bits);  // the syntax holds 16-bit floats as bit patterns
    } else {
      out += number(items[i]);
    }
  }
  return out;
}

using PrintedTypes =
    Types<float, double, Float16, Bfloat16, int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t,
          uint32_t, uint64_t, bool, std::string, std::complex<float>, std::complex<double>>;

std::string elements_text(const Tensor& t, int64_t max_elements) {
  if (max_elements >= 0 && t.count() > max_elements) return "{...}";
  if (const Tensor loaded = t.resident(); loaded.buffer() != t.buffer())
    return elements_text(loaded, max_elements);
  std::string out = "{";
  if (dtype_bits(t.dtype()) == 8 && is_float(t.dtype())) {
    for (int64_t i = 0; i < t.count(); ++i) {
      out += cat(i != 0 ? ", " : "", static_cast<int>(t.raw()[i]));
    }
  } else if (dtype_bits(t.dtype()) < 8 && t.dtype() != DType::kString) {
    for (int64_t i = 0; i < t.count(); ++i) out += cat(i != 0 ? ", " : "", packed_number(t, i));
  } else {
    out += dispatch(t.dtype(), PrintedTypes{}, [&]<class T>() { return join(t.data<T>()); });
  }
  return out + "}";
}

std::string dims_text(const Shape& shape) {
  if (shape.empty()) return "";
  std::string out = "[";
  for (size_t i = 0; i < shape.size(); ++i) {
    const std::string dim = shape[i].text();
    const bool plain = shape[i].known() || shape[i].is_unknown() || is_identifier(dim);
    out += (i != 0 ? ", " : "") + (plain ? dim : quoted(dim));
  }
  return out + "]";
}

// "" where the type is not known.
std::string type_text(const Type& type) {
  switch (type.kind) {
    case Type::Kind::kTensor:
      if (type.dtype == DType::kUndefined) return "";
      return std::string(dtype_name(type.dtype)) + (type.shape ? dims_text(*type.shape) : "[]");
    case Type::Kind::kMap:
      return cat("map(", dtype_name(type.key), ", ", dtype_name(type.dtype), "[])");
    case Type::Kind::kSequence:
    case Type::Kind::kOptional: {
      const std::string element = type.element ? type_text(*type.element) : "";
      if (element.empty()) return "";
      return (type.kind == Type::Kind::kSequence ? "seq(" : "optional(") + element + ")";
    }
  }
  return "";
}

std::string tensor_text(const Tensor& t, int64_t max_elements) {
  return cat(dtype_name(t.dtype()), dims_text(symbolic(t.dims())), " ",
             elements_text(t, max_elements));
}

struct AttributePrinter {
  int64_t max_elements;
  template <class T, class F>
  static std::string list(const std::vector<T>& items, std::string_view kind, F&& text) {
    if (items.empty()) return cat(": ", kind, " = []");
    std::string out = " = [";
    for (size_t i = 0; i < items.size(); ++i) out += (i != 0 ? ", " : "") + text(items[i]);
    return out + "]";
  }
  std::string operator()(int64_t v) const { return " = " + number(v); }
  std::string operator()(float v) const { return " = " + float_text(v); }
  std::string operator()(const std::string& v) const { return " = " + quoted(v); }
  std::string operator()(const std::vector<int64_t>& v) const {
    return list(v, "ints", number<int64_t>);
  }
  std::string operator()(const std::vector<float>& v) const {
    return list(v, "floats", float_text);
  }
  std::string operator()(const std::vector<std::string>& v) const {
    return list(v, "strings", quoted);
  }
  std::string operator()(const Tensor& v) const { return " = " + tensor_text(v, max_elements); }
  std::string operator()(const std::vector<Tensor>& v) const {
    return list(v, "tensors", [&](const Tensor& t) { return tensor_text(t, max_elements); });
  }
  std::string operator()(const Type& v) const { return " = " + type_text(v); }
};

class Printer {
 public:
  explicit Printer(const PrintOptions& options) : options_(options) {}
  std::string take() { return std::move(out_); }

  void header(const Graph& graph);
  // `bound`: printed names of the graph's last inputs, the captures of a body.
  void graph(const Graph& graph, std::string_view name, const std::vector<std::string>& bound);

 private:
  void node(const Node& node, const std::vector<std::string>& names);
  std::vector<std::string> choose_names(const Graph& graph, const std::vector<std::string>& bound,
                                        std::vector<std::string>& outputs);
  std::string claim(const std::string& wanted);
  std::string declaration(const Type& type, const std::string& name) const;
  void constants(const Graph& graph, const std::vector<std::string>& names);
  void attributes(const Node& node, const std::vector<std::string>& names);
  void line_break() { out_ += "\n" + std::string(indent_, ' '); }

  const PrintOptions& options_;
  std::string out_;
  size_t indent_ = 0;
  std::unordered_set<std::string> taken_;  // names in scope: bodies may not shadow
};

// `wanted`, or with a suffix where an enclosing graph has it.
std::string Printer::claim(const std::string& wanted) {
  std::string name = wanted.empty() ? "value" : wanted;
  for (size_t i = 1; !taken_.insert(name).second; ++i) name = cat(wanted, "_", i);
  return name;
}

std::string Printer::declaration(const Type& type, const std::string& name) const {
  const std::string text = type_text(type);
  return text.empty() ? id_text(name) : text + " " + id_text(name);
}

std::vector<std::string> Printer::choose_names(const Graph& graph,
                                               const std::vector<std::string>& bound,
                                               std::vector<std::string>& outputs) {
  std::vector<std::string> names(graph.value_count());
  const size_t formal = graph.inputs().size() - bound.size();
  for (size_t i = 0; i < bound.size(); ++i) names[graph.inputs()[formal + i].index] = bound[i];
  for (size_t i = 0; i < formal; ++i) {
    const ValueId v = graph.inputs()[i];
    names[v.index] = claim(graph.value(v).name);
  }
  // The interface's names go before those of constants and intermediate values.
  for (const GraphOutput& o : graph.outputs()) {
    std::string& name = names[o.value.index];
    const ValueDef& def = graph.value(o.value);
    if (name == o.name) {
      outputs.push_back(name);
    } else if (name.empty() && (def.producer.valid() || def.name == o.name)) {
      outputs.push_back(name = claim(o.name));
    } else {
      outputs.push_back(claim(o.name));
    }
  }
  for (uint32_t i = 0; i < graph.value_count(); ++i) {
    const ValueDef& def = graph.value(ValueId{i});
    const bool live = def.producer.valid() || def.is_constant();
    if (live && names[i].empty()) names[i] = claim(def.name);
  }
  return names;
}

void Printer::header(const Graph& graph) {
  std::unordered_set<std::string> domains;
  std::string opsets = cat("\"\" : ", kOpset);
  for (NodeId id : graph.topological_order()) {
    const std::string& domain = graph.node(id).op->domain;
    if (!domain.empty() && domains.insert(domain).second) opsets += ", " + quoted(domain) + " : 1";
  }
  out_ += cat("<ir_version: ", kIrVersion, ", opset_import: [", opsets, "]");
  if (!graph.doc.empty()) out_ += ", doc_string: " + quoted(graph.doc);
  std::string props;
  for (const auto& [key, value] : graph.metadata) {
    if (key == "producer_name" || key == "producer_version") {
      out_ += ", " + key + ": " + quoted(value);
    } else {
      props += (props.empty() ? "" : ", ") + quoted(key) + " : " + quoted(value);
    }
  }
  if (!props.empty()) out_ += ", metadata_props: [" + props + "]";
  out_ += ">\n";
}

void Printer::constants(const Graph& graph, const std::vector<std::string>& names) {
  std::string list;
  const std::string separator = ",\n" + std::string(indent_ + 1, ' ');
  for (uint32_t i = 0; i < graph.value_count(); ++i) {
    const ValueDef& def = graph.value(ValueId{i});
    std::string entry;
    if (def.is_constant()) {
      entry = cat(declaration(def.type, names[i]), " = ",
                  elements_text(def.constant, options_.max_elements));
    } else if (options_.types && def.producer.valid() && !graph.is_output(ValueId{i})) {
      if (!type_text(def.type).empty()) entry = declaration(def.type, names[i]);
    }
    if (!entry.empty()) list += (list.empty() ? "" : separator) + entry;
  }
  if (list.empty()) return;
  line_break();
  out_ += "<" + list + ">";
}

void Printer::graph(const Graph& graph, std::string_view name,
                    const std::vector<std::string>& bound) {
  const std::unordered_set<std::string> outer = taken_;
  std::vector<std::string> outputs;
  const std::vector<std::string> names = choose_names(graph, bound, outputs);
  out_ += std::string(name) + " (";
  for (size_t i = 0; i + bound.size() < graph.inputs().size(); ++i) {
    const ValueDef& def = graph.value(graph.inputs()[i]);
    out_ += (i != 0 ? ", " : "") + declaration(def.type, names[graph.inputs()[i].index]);
    if (def.default_value.defined())
      out_ += " = " + elements_text(def.default_value, options_.max_elements);
  }
  out_ += ") => (";
  std::vector<std::pair<std::string, std::string>> copies;
  for (size_t i = 0; i < outputs.size(); ++i) {
    const ValueId value = graph.outputs()[i].value;
    if (outputs[i] != names[value.index]) copies.emplace_back(outputs[i], names[value.index]);
    out_ += (i != 0 ? ", " : "") + declaration(graph.value(value).type, outputs[i]);
  }
  out_ += ")";
  constants(graph, names);
  line_break();
  out_ += "{";
  indent_ += 2;
  for (NodeId id : graph.topological_order()) node(graph.node(id), names);
  for (const auto& [to, from] : copies) {
    line_break();
    out_ += id_text(to) + " = Identity (" + id_text(from) + ")";
  }
  indent_ -= 2;
  line_break();
  out_ += "}";
  taken_ = outer;
}

void Printer::attributes(const Node& node, const std::vector<std::string>& names) {
  if (node.attributes.size() == 0 && node.subgraphs.empty()) return;
  out_ += "<";
  bool first = true;
  for (const auto& [name, value] : node.attributes) {
    out_ += (first ? "" : ", ") + name + std::visit(AttributePrinter{options_.max_elements}, value);
    first = false;
  }
  indent_ += 2;
  for (const Subgraph& s : node.subgraphs) {
    std::vector<std::string> bound;
    for (ValueId v : s.captures) bound.push_back(names[v.index]);
    out_ += first ? "" : ",";
    line_break();
    out_ += s.attribute + " = ";
    this->graph(*s.graph, s.attribute, bound);
    first = false;
  }
  indent_ -= 2;
  out_ += "> ";
}

void Printer::node(const Node& node, const std::vector<std::string>& names) {
  const auto list = [&](std::vector<ValueId> ids) {
    while (!ids.empty() && !ids.back().valid()) ids.pop_back();
    std::string text;
    for (size_t i = 0; i < ids.size(); ++i) {
      text += (i != 0 ? ", " : "") + (ids[i].valid() ? id_text(names[ids[i].index]) : "\"\"");
    }
    return text;
  };
  if (options_.origins && !node.origins.empty()) {
    line_break();
    out_ += "# from ";
    for (size_t i = 0; i < node.origins.size(); ++i) {
      out_ += (i != 0 ? ", " : "") + quoted(node.origins[i]);
    }
  }
  line_break();
  if (!node.name.empty()) out_ += "[" + id_text(node.name) + "] ";
  out_ += list(node.outputs) + " = " + node.op->full_name() + " ";
  attributes(node, names);
  out_ += "(" + list(node.inputs) + ")";
}

}  // namespace

std::string print(const Graph& graph, const PrintOptions& options) {
  Printer printer(options);
  if (options.header) printer.header(graph);
  printer.graph(graph, id_text(graph.name.empty() ? "graph" : graph.name), {});
  return printer.take() + "\n";
}

}  // namespace treadle

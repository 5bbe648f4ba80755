#include "importer/onnx/writer.h"

#include <algorithm>
#include <tuple>
#include <unordered_set>

#include "graph/ops/op.h"
#include "importer/onnx/history.h"
#include "importer/onnx/legalize.h"
#include "importer/onnx/metadata.h"
#include "importer/onnx/types.h"

namespace treadle::onnx {
namespace {

using Imports = std::map<std::string, int64_t>;

void write_tensor_head(const Tensor& t, const std::string& name, pb::TensorProto& proto) {
  proto.set_name(name);
  proto.set_data_type(static_cast<int32_t>(t.dtype()));
  for (int64_t d : t.dims()) proto.add_dims(d);
}

void write_tensor(const Tensor& t, pb::TensorProto& proto) {
  if (t.dtype() == DType::kString) {
    for (const std::string& s : t.data<std::string>()) proto.add_string_data(s);
  } else {
    const Tensor loaded = t.resident();
    proto.set_raw_data(loaded.raw(), loaded.bytes());
  }
}

struct AttributeWriter {
  pb::AttributeProto& p;
  using Proto = pb::AttributeProto;
  void operator()(int64_t v) const { p.set_type(Proto::INT), p.set_i(v); }
  void operator()(float v) const { p.set_type(Proto::FLOAT), p.set_f(v); }
  void operator()(const std::string& v) const { p.set_type(Proto::STRING), p.set_s(v); }
  void operator()(const std::vector<int64_t>& list) const {
    p.set_type(Proto::INTS);
    for (int64_t v : list) p.add_ints(v);
  }
  void operator()(const std::vector<float>& list) const {
    p.set_type(Proto::FLOATS);
    for (float v : list) p.add_floats(v);
  }
  void operator()(const std::vector<std::string>& list) const {
    p.set_type(Proto::STRINGS);
    for (const std::string& v : list) p.add_strings(v);
  }
  void operator()(const Tensor& t) const {
    p.set_type(Proto::TENSOR);
    write_tensor_head(t, p.name(), *p.mutable_t());
    write_tensor(t, *p.mutable_t());
  }
  void operator()(const std::vector<Tensor>& list) const {
    p.set_type(Proto::TENSORS);
    for (const Tensor& t : list) {
      auto& proto = *p.add_tensors();
      write_tensor_head(t, p.name(), proto);
      write_tensor(t, proto);
    }
  }
  void operator()(const Type& type) const {
    p.set_type(Proto::TYPE_PROTO), write_type(type, *p.mutable_tp());
  }
};

// What identifies a constant's bytes.
using Bytes = std::tuple<std::pair<const void*, size_t>, DType, Dims>;
Bytes bytes_of(const Tensor& t) {
  if (t.dtype() == DType::kString) return {{t.data<std::string>().data(), 0}, t.dtype(), t.dims()};
  return {t.identity(), t.dtype(), t.dims()};
}

// One graph while it is written: the names of its values in the file.
struct Naming {
  const Naming* outer = nullptr;
  std::vector<std::string> names;          // by value
  std::map<Bytes, std::string> constants;  // that bodies may refer to
  const std::string* shared(const Tensor& t) const {
    if (t.count() == 0) return nullptr;
    const Bytes key = bytes_of(t);
    for (const Naming* n = outer; n != nullptr; n = n->outer) {
      if (const auto it = n->constants.find(key); it != n->constants.end()) return &it->second;
    }
    return nullptr;
  }
};

class Writer {
 public:
  explicit Writer(Imports imports) : imports_(std::move(imports)) {}

  WrittenModel write(const Graph& graph) {
    write_head(graph);
    Naming naming;
    naming.names.resize(graph.value_count());
    for (ValueId v : graph.inputs()) {
      naming.names[v.index] = graph.value(v).name;
      used_.insert(graph.value(v).name);
    }
    for (const GraphOutput& o : graph.outputs()) used_.insert(o.name);
    auto& proto = *out_.model.mutable_graph();
    proto.set_name(graph.name.empty() ? "graph" : graph.name);
    std::vector<std::string> outputs;
    for (const GraphOutput& o : graph.outputs()) outputs.push_back(o.name);
    write_graph(graph, naming, outputs, graph.inputs().size(), proto);
    return std::move(out_);
  }

 private:
  void write_head(const Graph& graph) {
    pb::ModelProto& model = out_.model;
    int64_t ir = 4;  // the first that lets initializers not be inputs
    for (const auto& [domain, version] : imports_) {
      auto& import = *model.add_opset_import();
      import.set_domain(domain);
      import.set_version(version);
      ir = std::max(ir, ir_version_of(domain, version));
    }
    model.set_ir_version(ir);
    write_metadata(graph, model);
  }

  std::string fresh_name(const std::string& stem) {
    std::string name = stem.empty() ? "value" : stem;
    while (!used_.insert(name).second) name = cat(stem, "_", ++suffixes_[stem]);
    return name;
  }

  // A value that may carry an output's name itself: made here, by a node.
  static bool is_made_here(const Graph& graph, ValueId v) {
    return graph.value(v).producer.valid();
  }

  // Fills in the names that are not set yet; node outputs that are outputs of the graph get the
  // interface's name.
  void name_values(const Graph& graph, Naming& naming, const std::vector<std::string>& outputs) {
    for (size_t i = 0; i < outputs.size(); ++i) {
      const ValueId v = graph.outputs()[i].value;
      std::string& name = naming.names[v.index];
      if (is_made_here(graph, v) && name.empty()) name = outputs[i];
    }
    auto name_one = [&](ValueId v) {
      if (v.valid() && naming.names[v.index].empty())
        naming.names[v.index] = fresh_name(graph.value(v).name);
    };
    for (uint32_t i = 0; i < graph.value_count(); ++i) {
      const ValueDef& def = graph.value(ValueId{i});
      if (!def.is_constant() || (def.users.empty() && !graph.is_output(ValueId{i}))) continue;
      const std::string* shared = naming.shared(def.constant);
      if (shared != nullptr) naming.names[i] = *shared;
      name_one(ValueId{i});
    }
    for (NodeId id : graph.topological_order()) {
      for (ValueId v : graph.node(id).outputs) name_one(v);
    }
  }

  // `formals`: how many of the inputs are written as such (the rest are captures, already named).
  void write_graph(const Graph& graph, Naming& naming, const std::vector<std::string>& outputs,
                   size_t formals, pb::GraphProto& proto) {
    name_values(graph, naming, outputs);
    for (size_t i = 0; i < formals; ++i) {
      const ValueId v = graph.inputs()[i];
      write_info(naming.names[v.index], graph.value(v).type, *proto.add_input());
      const Tensor& fallback = graph.value(v).default_value;
      if (fallback.defined()) write_initializer(fallback, naming.names[v.index], proto);
    }
    for (uint32_t i = 0; i < graph.value_count(); ++i)
      write_constant(graph, ValueId{i}, naming, proto);
    for (NodeId id : graph.topological_order()) write_node(graph.node(id), naming, proto);
    for (size_t i = 0; i < outputs.size(); ++i) {
      const ValueId v = graph.outputs()[i].value;
      if (naming.names[v.index] != outputs[i])
        write_identity(naming.names[v.index], outputs[i], proto);
      // A body's shapes depend on where it is run.
      const Type& type = graph.value(v).type;
      const bool is_body = naming.outer != nullptr;
      write_info(outputs[i], is_body && type.is_tensor() ? Type::tensor(type.dtype) : type,
                 *proto.add_output());
    }
  }

  static void write_info(const std::string& name, const Type& type, pb::ValueInfoProto& info) {
    info.set_name(name);
    const bool known = type.kind != Type::Kind::kTensor || type.dtype != DType::kUndefined;
    if (known) write_type(type, *info.mutable_type());
  }

  void write_identity(const std::string& from, const std::string& to, pb::GraphProto& proto) {
    auto& node = *proto.add_node();
    node.set_op_type("Identity");
    node.set_name(node_name(cat("Identity_", to)));
    node.add_input(from);
    node.add_output(to);
  }

  void write_constant(const Graph& graph, ValueId v, Naming& naming, pb::GraphProto& proto) {
    const ValueDef& def = graph.value(v);
    const std::string& name = naming.names[v.index];
    if (!def.is_constant() || name.empty()) return;
    const std::string* shared = naming.shared(def.constant);
    if (shared != nullptr && *shared == name) return;
    if (def.constant.count() != 0) naming.constants.emplace(bytes_of(def.constant), name);
    write_initializer(def.constant, name, proto);
  }

  void write_initializer(const Tensor& tensor, const std::string& name, pb::GraphProto& proto) {
    auto& initializer = *proto.add_initializer();
    write_tensor_head(tensor, name, initializer);
    if (tensor.dtype() == DType::kString) {
      write_tensor(tensor, initializer);
    } else {
      out_.weights.push_back({&initializer, tensor});
    }
  }

  std::string node_name(const std::string& stem) {
    std::string name = stem.empty() ? "node" : stem;
    while (!node_names_.insert(name).second) name = cat(stem, "_", ++node_suffixes_[stem]);
    return name;
  }

  void write_node(const Node& node, Naming& naming, pb::GraphProto& proto) {
    auto& out = *proto.add_node();
    out.set_op_type(node.op->kind);
    out.set_name(node_name(node.name));
    if (!node.op->domain.empty()) out.set_domain(node.op->domain);
    auto name_of = [&](ValueId v) { return v.valid() ? naming.names[v.index] : std::string(); };
    for (ValueId v : node.inputs) out.add_input(name_of(v));
    while (out.input_size() > 0 && out.input(out.input_size() - 1).empty())
      out.mutable_input()->RemoveLast();
    for (ValueId v : node.outputs) out.add_output(name_of(v));
    while (out.output_size() > 0 && out.output(out.output_size() - 1).empty())
      out.mutable_output()->RemoveLast();
    const int64_t opset = imports_.at(node.op->domain);
    for (const auto& [name, value] : node.attributes) {
      if (!has_attribute(node, name, opset))
        continue;  // at its default, or legalize had refused it
      auto& attribute = *out.add_attribute();
      attribute.set_name(name);
      std::visit(AttributeWriter{attribute}, value);
    }
    for (const Subgraph& s : node.subgraphs) {
      auto& attribute = *out.add_attribute();
      attribute.set_name(s.attribute);
      attribute.set_type(pb::AttributeProto::GRAPH);
      write_body(s, naming, *attribute.mutable_g());
    }
  }

  // Captures become references to the outer names, which no name of the body may hide.
  void write_body(const Subgraph& body, const Naming& outer, pb::GraphProto& proto) {
    const Graph& graph = *body.graph;
    Naming naming;
    naming.outer = &outer;
    naming.names.resize(graph.value_count());
    const size_t formals = body.formal_count();
    for (size_t i = 0; i < graph.inputs().size(); ++i) {
      const ValueId v = graph.inputs()[i];
      naming.names[v.index] = i < formals ? fresh_name(graph.value(v).name)
                                          : outer.names[body.captures[i - formals].index];
    }
    std::vector<std::string> outputs;
    for (const GraphOutput& o : graph.outputs()) outputs.push_back(fresh_name(o.name));
    proto.set_name(graph.name.empty() ? body.attribute : graph.name);
    write_graph(graph, naming, outputs, formals, proto);
  }

  const Imports imports_;
  WrittenModel out_;
  std::unordered_set<std::string> used_;
  std::unordered_map<std::string, size_t> suffixes_;
  std::unordered_set<std::string> node_names_;
  std::unordered_map<std::string, size_t> node_suffixes_;
};

}  // namespace

WrittenModel write_model(const Graph& graph, const SaveOptions& options) {
  Graph copy = graph.clone();
  Imports imports = legalize(copy, options);
  return Writer(std::move(imports)).write(copy);
}

}  // namespace treadle::onnx

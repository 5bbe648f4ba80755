#include "importer/onnx/reader.h"

#include <algorithm>
#include <set>
#include <unordered_set>

#include "importer/onnx/attributes.h"
#include "importer/onnx/functions.h"
#include "importer/onnx/initializers.h"
#include "importer/onnx/metadata.h"
#include "importer/onnx/types.h"
#include "importer/onnx/typing.h"
#include "importer/onnx/upgrades.h"

namespace treadle::onnx {
namespace {

using Given = std::map<std::string, GivenInitializer>;

class Reader {
 public:
  Reader(const pb::ModelProto& model, TensorReader& tensors, const ReadOptions& options)
      : model_(model),
        tensors_(tensors),
        options_(options),
        functions_(functions_of(model, options.load.operators.get())) {}

  Graph read() {
    const auto opsets = std::make_shared<const Opsets>(opsets_of(model_));
    check_expansion(model_.graph(), functions_, options_.load.limits);
    attempt([&] { check_supported(model_, *opsets, functions_, added()); });
    Graph graph;
    GraphBuild build(graph);
    Scope scope{build, nullptr, {}};
    attempt([&] { read_model_inputs(scope); });
    Frame frame;
    frame.scope = &scope;
    frame.opsets = opsets;
    read_nodes(model_.graph().node(), std::move(frame));
    read_outputs(model_.graph(), scope);
    for (const auto& o : model_.graph().output()) {
      attempt([&] { check_output(o, scope); });
    }
    read_metadata(model_, graph);
    return graph;
  }

 private:
  // Runs one part of the reading; a problem is thrown on, or noted.
  template <class F>
  bool attempt(F&& part) {
    try {
      part();
      return true;
    } catch (const Error& e) {
      if (options_.problems == nullptr || e.code() == Code::kLimit) throw;
      options_.problems->push_back(e);
      return false;
    }
  }

  void read_initializers(const pb::GraphProto& proto, Scope& scope,
                         const std::set<std::string>& overridable, const Given& given) {
    auto add = [&](const std::string& name, const auto& t) {
      TREADLE_CHECK(!name.empty(), kInvalidModel, "an initializer has no name");
      const auto instead = given.find(name);
      const Tensor tensor = instead != given.end() ? checked_given(name, instead->second.tensor, t)
                                                   : once(&t, [&] { return tensors_.read(t); });
      if (overridable.contains(name)) return set_default(name, tensor, scope);
      scope.define(name, scope.build.graph.add_constant(name, tensor));
    };
    auto attempt_add = [&](const std::string& name, const auto& t) {
      if (!attempt([&] { add(name, t); })) define_unknown(name, scope);
    };
    for (const auto& t : proto.initializer()) attempt_add(t.name(), t);
    for (const auto& t : proto.sparse_initializer()) attempt_add(t.values().name(), t);
  }

  // The tensor of a part of the file; the calls of a function share what stands in it.
  template <class Read>
  Tensor once(const void* part, Read&& read) {
    if (const auto it = tensors_read_.find(part); it != tensors_read_.end()) return it->second;
    return tensors_read_[part] = read();
  }

  void read_model_inputs(Scope& scope) {
    const pb::GraphProto& proto = model_.graph();
    const std::set<std::string> initialized = initializer_names(proto);
    check_required(initialized, options_.load);
    const std::set<std::string> overridable =
        overridable_inputs(model_, initialized, options_.load);
    for (const auto& i : proto.input()) {
      if (initialized.contains(i.name()) && !overridable.contains(i.name())) continue;
      pb::ValueInfoProto input = i;
      fix_dims(input, options_.load);
      attempt([&] { read_input(input, scope); });
    }
    read_initializers(proto, scope, overridable, options_.load.initializers);
  }

  void read_input(const pb::ValueInfoProto& input, Scope& scope) {
    try {
      TREADLE_CHECK(!input.name().empty(), kInvalidModel, "it has no name");
      const Type type = type_of(input.type(), scope.outer == nullptr ? input.name() : "");
      scope.define(input.name(), scope.build.graph.add_input(input.name(), type));
    } catch (Error& e) {
      e.add_context(cat("input '", input.name(), "'"));
      throw;
    }
  }

  void read_outputs(const pb::GraphProto& proto, Scope& scope) {
    for (const auto& o : proto.output()) {
      attempt([&] {
        const ValueId id = scope.find(o.name()).value_or(ValueId{});
        TREADLE_CHECK(id.valid(), kInvalidModel, "output '", o.name(), "' is produced by no node");
        scope.build.graph.add_output(o.name(), id);
      });
    }
  }

  // The declared element type must be right; the declared rank counts where inference has none.
  static void check_output(const pb::ValueInfoProto& output, Scope& scope) {
    const ValueId id = scope.find(output.name()).value_or(ValueId{});
    if (!id.valid() || !output.type().has_tensor_type() ||
        output.type().tensor_type().elem_type() == 0)
      return;
    Type& type = scope.build.graph.value(id).type;
    const DType declared = dtype_of_proto(output.type().tensor_type().elem_type());
    TREADLE_CHECK(!type.is_tensor() || type.dtype == DType::kUndefined || type.dtype == declared,
                  kInvalidModel, "output '", output.name(), "' is declared as ",
                  dtype_name(declared), ", but computed as ", type.text());
    const Type said = type_of(output.type(), "");
    if (type.is_tensor() && !type.shape && said.shape) {
      type.shape.emplace(said.shape->size(), Dim::unknown());
    }
  }

  // ---- Nodes: an explicit stack of frames, one for each function that is being inlined

  void read_nodes(const NodeList& nodes, Frame first) {
    first.nodes = &nodes;
    if (!attempt([&] { first.order = reading_order(nodes); })) return;
    std::vector<Frame> stack;
    stack.push_back(std::move(first));
    while (!stack.empty()) {
      Frame& frame = stack.back();
      if (frame.next == frame.order.size()) {
        Frame done = std::move(frame);
        stack.pop_back();
        if (done.function != nullptr) finish_call(done, stack.back());
        continue;
      }
      const pb::NodeProto& node = (*frame.nodes)[frame.order[frame.next++]];
      if (attempt([&] { read_node(node, stack); })) continue;
      for (const std::string& name : node.output()) define_unknown(name, *stack.back().scope);
    }
  }

  // So that what follows a bad node or initializer can be checked as well.
  static void define_unknown(const std::string& name, Scope& scope) {
    if (!name.empty() && !scope.names.contains(name))
      scope.names[name] = scope.build.graph.add_value(name);
  }

  void read_node(const pb::NodeProto& node, std::vector<Frame>& stack) {
    Frame& frame = stack.back();
    try {
      TREADLE_CHECK(++nodes_read_ <= options_.load.limits.max_nodes, kLimit,
                    "the model has more than max_nodes = ", options_.load.limits.max_nodes,
                    " nodes");
      if (const auto* function = called_function(node, functions_)) {
        check_depth();
        stack.push_back(call_frame(*function, node, frame, unique_node_name(node, frame)));
        ++depth_;
      } else if (node.op_type() == "Constant" && domain_of(node.domain()).empty()) {
        read_constant(node, frame);
      } else {
        read_operator(node, frame);
      }
    } catch (Error& e) {
      const std::string here = frame.here(node);
      // The node's own checks name it already.
      e.name_node(node.name().empty() ? "" : frame.name_of(node), full_kind(node));
      if (std::string_view(e.what()).find(here) == std::string_view::npos) e.add_context(here);
      throw;
    }
  }

  void read_constant(const pb::NodeProto& node, Frame& frame) {
    const pb::AttributeProto* value = nullptr;
    int given = 0;
    for (const auto& a : node.attribute()) {
      if (const auto* resolved = frame.resolve(a)) {
        value = resolved;
        ++given;
      }
    }
    TREADLE_CHECK(given == 1 && node.output_size() == 1 && node.input_size() == 0, kInvalidModel,
                  "a Constant needs one attribute, one output and no input, it has ", given, ", ",
                  node.output_size(), " and ", node.input_size());
    Tensor tensor;
    if (value->name() == node.attribute(0).name() || node.attribute(0).ref_attr_name().empty()) {
      tensor = once(value, [&] { return constant_of(*value, tensors_); });
    } else {
      pb::AttributeProto renamed = *value;
      renamed.set_name(node.attribute(0).name());
      tensor = constant_of(renamed, tensors_);
    }
    const std::string& name = node.output(0);
    if (name.empty()) return;
    frame.scope->define(
        name, frame.scope->build.graph.add_constant(frame.prefix + name, std::move(tensor)));
  }

  void read_operator(const pb::NodeProto& node, Frame& frame) {
    OldNode old;
    old.domain = domain_of(node.domain());
    old.kind = node.op_type();
    old.name = unique_node_name(node, frame);
    std::vector<std::pair<std::string, const pb::GraphProto*>> bodies;
    for (const auto& a : node.attribute()) {
      const pb::AttributeProto* value = frame.resolve(a);
      if (value == nullptr) continue;
      TREADLE_CHECK(!old.attributes.has(a.name()), kInvalidModel, "attribute '", a.name(),
                    "' is given twice");
      if (holds_graph(*value)) {
        TREADLE_CHECK(value == &a && a.has_g(), kUnsupported, "attribute '", a.name(),
                      "' holds graphs by ", value == &a ? "a list" : "reference",
                      ", which is not supported");
        bodies.emplace_back(a.name(), &a.g());
      } else {
        old.attributes.set(a.name(), attribute_of(*value, tensors_));
      }
    }
    for (const auto& name : node.input()) old.inputs.push_back(input_value(name, *frame.scope));
    while (!old.inputs.empty() && !old.inputs.back().valid()) old.inputs.pop_back();
    old.outputs = static_cast<size_t>(node.output_size());
    for (const auto& [name, graph] : bodies)
      old.subgraphs.push_back(read_body(name, *graph, frame));
    const auto import = frame.opsets->find(old.domain);
    TREADLE_CHECK(import != frame.opsets->end(), kUnsupported, "domain '", old.domain,
                  "' is not imported");
    std::vector<std::string> origins;
    if (!frame.origin.empty()) origins.push_back(frame.origin);
    Builder builder(frame.scope->build.graph, old.name + "/", origins);
    upgrade(old, import->second, builder);
    add_operator(std::move(old), node, frame, std::move(origins));
  }

  void add_operator(OldNode old, const pb::NodeProto& proto, Frame& frame,
                    std::vector<std::string> origins) {
    Scope& scope = *frame.scope;
    GraphBuild& build = scope.build;
    Node node;
    node.op = row_of(old.kind, old.domain, added());
    if (node.op == nullptr && options_.problems != nullptr) {
      // The survey has named it: what reads its outputs is not to blame.
      for (const std::string& name : proto.output()) {
        if (!name.empty()) scope.define(name, build.graph.add_value(frame.prefix + name));
      }
      return;
    }
    TREADLE_CHECK(node.op != nullptr, kUnsupported, "operator ", old.kind, " is not known");
    node.name = std::move(old.name);
    node.origins = std::move(origins);
    node.attributes = std::move(old.attributes);
    node.inputs = std::move(old.inputs);
    node.subgraphs = std::move(old.subgraphs);
    for (size_t i = 0; i < old.outputs; ++i) {
      const std::string& name = proto.output(static_cast<int>(i));
      node.outputs.push_back(name.empty() ? ValueId{} : build.graph.add_value(frame.prefix + name));
      if (!name.empty()) scope.define(name, node.outputs.back());
    }
    if (added() != nullptr) added()->prepare(node);
    add_typed(std::move(node), depth_ > 0, build);
  }

  const AddedOps* added() const { return options_.load.operators.get(); }

  std::string unique_node_name(const pb::NodeProto& node, const Frame& frame) {
    const std::string stem = frame.name_of(node);
    std::string name = stem;
    while (!node_names_.insert(name).second) name = cat(stem, "_", ++suffixes_[stem]);
    return name;
  }

  // ---- Bodies and functions

  void check_depth() const {
    TREADLE_CHECK(
        depth_ < std::min<int64_t>(options_.load.limits.max_depth, kDeepest), kLimit,
        "subgraphs and functions nest deeper than max_depth = ", options_.load.limits.max_depth);
  }

  Subgraph read_body(const std::string& attribute, const pb::GraphProto& proto,
                     const Frame& owner) {
    check_depth();
    ++depth_;
    Subgraph body;
    body.attribute = attribute;
    body.graph = std::make_shared<Graph>();
    body.graph->name = proto.name();
    GraphBuild build(*body.graph);
    Scope scope{build, owner.scope, {}};
    for (const auto& i : proto.input()) attempt([&] { read_input(i, scope); });
    read_initializers(proto, scope, {}, {});
    Frame frame;
    frame.scope = &scope;
    frame.opsets = owner.opsets;
    frame.attributes = owner.attributes;
    frame.prefix = owner.prefix;
    frame.origin = owner.origin;
    read_nodes(proto.node(), std::move(frame));
    read_outputs(proto, scope);
    body.captures = std::move(build.captures);
    --depth_;
    return body;
  }

  void finish_call(Frame& done, Frame& caller) {
    --depth_;
    for (int i = 0; i < done.call->output_size(); ++i) {
      const std::string& name = done.call->output(i);
      if (name.empty()) continue;
      attempt([&] {
        const ValueId v = done.scope->find(done.function->output(i)).value_or(ValueId{});
        TREADLE_CHECK(v.valid(), kInvalidModel, "function '", done.function->name(),
                      "' does not produce its output '", done.function->output(i), "'");
        caller.scope->define(name, v);
      });
    }
  }

  const pb::ModelProto& model_;
  TensorReader& tensors_;
  const ReadOptions& options_;
  const Functions functions_;
  std::unordered_set<std::string> node_names_;
  std::unordered_map<std::string, size_t> suffixes_;
  std::unordered_map<const void*, Tensor> tensors_read_;
  int64_t nodes_read_ = 0;
  int64_t depth_ = 0;
};

}  // namespace

Graph read_model(const pb::ModelProto& model, TensorReader& tensors, const ReadOptions& options) {
  return Reader(model, tensors, options).read();
}

}  // namespace treadle::onnx

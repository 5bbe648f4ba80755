#include "graph/builder.h"

namespace treadle {

Builder::Builder(Graph& graph, std::string prefix, std::vector<std::string> origins)
    : graph_(graph), prefix_(std::move(prefix)), origins_(std::move(origins)) {}

std::vector<ValueId> Builder::add(std::string_view kind, std::vector<ValueId> inputs,
                                  Attributes attributes, size_t outputs, std::string_view domain) {
  Node node;
  node.op = find_op(kind, domain);
  TREADLE_CHECK(node.op != nullptr, kInternal, "the builder knows no operator ", kind);
  node.name = cat(prefix_, kind, "_", graph_.value_count());
  node.origins = origins_;
  node.attributes = std::move(attributes);
  node.inputs = std::move(inputs);
  node.outputs.resize(outputs);
  return add(std::move(node));
}

std::vector<ValueId> Builder::add(Node node) {
  std::vector<Known> known;
  std::vector<const Known*> in;
  known.reserve(node.inputs.size());
  for (ValueId v : node.inputs) {
    if (!v.valid()) {
      in.push_back(nullptr);
      continue;
    }
    const ValueDef& def = graph_.value(v);
    Known k;
    k.type = def.type;
    if (def.is_constant()) k = known_constant(def.constant);
    known.push_back(std::move(k));
    in.push_back(&known.back());
  }
  const std::vector<Known> out = infer_node(node, in);
  for (ValueId& v : node.outputs) v = graph_.add_value(prefix_ + node.op->kind);
  std::vector<ValueId> results = node.outputs;
  graph_.add_node(std::move(node));
  for (size_t i = 0; i < results.size(); ++i) graph_.value(results[i]).type = out[i].type;
  return results;
}

Tensor scalar_of(DType dtype, double value) {
  Tensor t(dtype, {});
  dispatch(dtype, NumberOrBoolTypes{}, [&]<class T>() {
    if constexpr (is_reduced_float<T>) {
      t.data<T>()[0] = T(static_cast<float>(value));
    } else {
      t.data<T>()[0] = static_cast<T>(value);
    }
  });
  return t;
}

ValueId Builder::scalar(DType dtype, double value) { return constant(scalar_of(dtype, value)); }

Graph decompose_alone(const Node& node, const std::vector<Type>& types) {
  TREADLE_CHECK(node.op->decompose != nullptr, kUnsupported, describe(node),
                " has no reference kernel");
  Graph graph;
  Node inner = node;
  for (size_t i = 0; i < inner.inputs.size(); ++i) {
    const bool present =
        i < types.size() && (types[i].dtype != DType::kUndefined || !types[i].is_tensor());
    inner.inputs[i] = present ? graph.add_input(cat("in", i), types[i]) : ValueId{};
  }
  Builder builder(graph, "", node.origins);
  const std::vector<ValueId> results = node.op->decompose(builder, inner);
  for (size_t i = 0; i < results.size(); ++i) graph.add_output(cat("out", i), results[i]);
  return graph;
}

bool expand(Graph& graph, NodeId id) {
  const Node node = graph.node(id);
  if (node.op->decompose == nullptr) return false;
  std::vector<std::string> origins = node.origins;
  if (origins.empty()) origins.push_back(node.name);
  Builder builder(graph, node.name + "/", origins);
  const std::vector<ValueId> results = node.op->decompose(builder, node);
  for (size_t i = 0; i < node.outputs.size() && i < results.size(); ++i) {
    if (node.outputs[i].valid()) graph.replace_uses(node.outputs[i], results[i]);
  }
  graph.remove_node(id);
  return true;
}

std::vector<ValueId> inline_graph(Graph& graph, const Graph& body,
                                  const std::vector<ValueId>& inputs, std::string_view prefix) {
  TREADLE_CHECK(inputs.size() == body.inputs().size(), kInternal, "inlining with ", inputs.size(),
                " inputs, expected ", body.inputs().size());
  std::vector<ValueId> map(body.value_count());
  for (size_t i = 0; i < inputs.size(); ++i) map[body.inputs()[i].index] = inputs[i];
  auto mapped = [&](ValueId v) {
    if (!v.valid()) return v;
    ValueId& to = map[v.index];
    if (!to.valid()) {
      const ValueDef& def = body.value(v);
      to = def.is_constant() ? graph.add_constant(cat(prefix, def.name), def.constant)
                             : graph.add_value(cat(prefix, def.name), def.type);
    }
    return to;
  };
  for (NodeId id : body.topological_order()) {
    Node node = body.node(id);
    node.name = cat(prefix, node.name);
    for (ValueId& v : node.inputs) v = mapped(v);
    for (ValueId& v : node.outputs) v = mapped(v);
    for (Subgraph& s : node.subgraphs) {
      s.graph = std::make_shared<Graph>(s.graph->clone());
      for (ValueId& v : s.captures) v = mapped(v);
    }
    graph.add_node(std::move(node));
  }
  std::vector<ValueId> results;
  for (const GraphOutput& o : body.outputs()) results.push_back(mapped(o.value));
  return results;
}

}  // namespace treadle

#include "training/body.h"

namespace treadle {

Body::Body(Builder& outer) : outer_(outer), graph_(std::make_shared<Graph>()), builder_(*graph_) {}

Expr Body::formal(Type type) {
  TREADLE_CHECK(captures_.empty(), kInternal, "a formal input after a capture");
  return {builder_, graph_->add_input("", std::move(type))};
}

Expr Body::capture(ValueId outer) {
  const auto known = inner_.find(outer.index);
  if (known != inner_.end()) return {builder_, known->second};
  const ValueDef& def = outer_.graph().value(outer);
  ValueId made;
  if (def.is_constant() && !is_float(def.constant.dtype())) {
    made = graph_->add_constant(def.name, def.constant);
  } else {
    made = graph_->add_input(def.name, def.type);
    captures_.push_back(outer);
  }
  inner_[outer.index] = made;
  return {builder_, made};
}

std::vector<Expr> Body::inlined(const Subgraph& body, const std::vector<Expr>& formals) {
  std::vector<ValueId> inputs;
  for (const Expr& e : formals) inputs.push_back(e.id());
  for (ValueId v : body.captures) inputs.push_back(capture(v).id());
  std::vector<Expr> results;
  for (ValueId v : inline_graph(*graph_, *body.graph, inputs)) results.emplace_back(builder_, v);
  annotate(*graph_);
  return results;
}

Subgraph Body::take(std::string attribute) {
  graph_->remove_dead();
  return {std::move(attribute), std::move(graph_), std::move(captures_)};
}

std::vector<Expr> add_with_bodies(Builder& builder, Node node) {
  Graph& graph = builder.graph();
  auto known_of = [&](ValueId v) {
    const ValueDef& def = graph.value(v);
    Known known;
    if (def.is_constant()) known = known_constant(def.constant);
    known.type = def.type;
    return known;
  };
  std::vector<Known> inputs(node.inputs.size());
  std::vector<const Known*> given(inputs.size(), nullptr);
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!node.inputs[i].valid()) continue;
    inputs[i] = known_of(node.inputs[i]);
    given[i] = &inputs[i];
  }
  std::vector<std::vector<Known>> captures;
  for (const Subgraph& s : node.subgraphs) {
    captures.emplace_back();
    for (ValueId v : s.captures) captures.back().push_back(known_of(v));
  }
  const std::vector<Known> types = infer_node(node, given, captures);
  std::vector<Expr> results;
  for (size_t i = 0; i < node.outputs.size(); ++i) {
    node.outputs[i] = graph.add_value(cat(node.name, "/", i), types[i].type);
    results.emplace_back(builder, node.outputs[i]);
  }
  graph.add_node(std::move(node));
  return results;
}

Expr map_sequences(const std::vector<Expr>& sequences, ElementFn f) {
  Builder& outer = sequences[0].builder();
  Body body(outer);
  std::vector<Expr> elements;
  Node node;
  for (const Expr& s : sequences) {
    const Type type = s.type();
    elements.push_back(body.formal(type.element ? *type.element : Type{}));
    node.inputs.push_back(s.id());
  }
  body.output(f(elements));
  node.op = find_op("SequenceMap");
  node.name = outer.graph().value(sequences[0].id()).name + "/SequenceMap";
  node.outputs.resize(1);
  node.subgraphs.push_back(body.take("body"));
  return add_with_bodies(outer, std::move(node))[0];
}

Expr sum_of(const std::vector<Expr>& values) {
  if (values[0].type().kind == Type::Kind::kSequence) {
    return map_sequences(values,
                         [](const std::vector<Expr>& elements) { return sum_of(elements); });
  }
  if (values.size() == 1) return values[0];
  return values[0].op(values.size() == 2 ? "Add" : "Sum", {values.begin() + 1, values.end()});
}

}  // namespace treadle

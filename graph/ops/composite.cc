#include "graph/ops/composite.h"

#include "graph/builder.h"

namespace treadle {

void infer_composite(InferContext& c) {
  std::vector<Type> types(c.input_count());
  std::vector<Known> inputs;
  for (size_t i = 0; i < types.size(); ++i) {
    if (!c.has(i)) continue;
    types[i] = c.type(i);
    if (!types[i].is_tensor() || types[i].dtype == DType::kUndefined || !types[i].shape) return;
    Known& known = inputs.emplace_back();
    known.type = types[i];
    if (const Tensor* constant = c.constant(i)) known.constant = *constant;
    if (const std::vector<Dim>* values = c.values(i)) known.values = *values;
  }
  Graph graph;
  try {
    graph = decompose_alone(c.node(), types);
  } catch (const Error& e) {
    if (e.code() == Code::kUnsupported) return;  // it needs sizes that are not known yet
    throw;
  }
  const std::vector<Known> known = infer(graph, inputs);
  for (size_t i = 0; i < graph.outputs().size(); ++i) {
    c.set_type(i, known[graph.outputs()[i].value.index].type);
  }
}

Attributes attributes_for(std::string_view kind, const Attributes& attributes) {
  const Op* op = find_op(kind);
  Attributes own;
  for (const auto& [name, value] : attributes) {
    if (op != nullptr && op->attribute(name) != nullptr) own.set(name, value);
  }
  return own;
}

}  // namespace treadle

#include "graph/ops/composite.h"

#include "graph/builder.h"

namespace treadle {

void infer_composite(InferContext& c) {
  std::vector<Type> types(c.input_count());
  for (size_t i = 0; i < types.size(); ++i) {
    if (!c.has(i)) continue;
    types[i] = c.type(i);
    if (!types[i].is_tensor() || types[i].dtype == DType::kUndefined || !types[i].shape) return;
  }
  const Graph graph = decompose_alone(c.node(), types);
  for (size_t i = 0; i < graph.outputs().size(); ++i) {
    c.set_type(i, graph.value(graph.outputs()[i].value).type);
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

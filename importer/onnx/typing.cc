#include "importer/onnx/typing.h"

namespace treadle::onnx {
namespace {

// Shapes that do not fit are an argument's fault at run time, but the model's here.
std::vector<Known> inferred(const Node& node, const std::vector<const Known*>& inputs,
                            const std::vector<std::vector<Known>>& captures) {
  try {
    return infer_node(node, inputs, captures);
  } catch (const Error& e) {
    if (e.code() != Code::kInvalidArgument) throw;
    throw e.as(Code::kInvalidModel);
  }
}

std::vector<Known> inferred_in_body(const Node& node, const std::vector<const Known*>& inputs,
                                    const std::vector<std::vector<Known>>& captures) {
  try {
    return infer_node(node, inputs, captures);
  } catch (const Error&) {
    std::vector<Known> vague(inputs.size());
    std::vector<const Known*> pointers;
    for (size_t i = 0; i < inputs.size(); ++i) {
      if (inputs[i] != nullptr) vague[i].type = inputs[i]->type;
      vague[i].type.shape.reset();
      pointers.push_back(inputs[i] != nullptr ? &vague[i] : nullptr);
    }
    return inferred(node, pointers, captures);
  }
}

}  // namespace

void add_typed(Node node, bool in_body, GraphBuild& build) {
  check_against_row(node);
  std::vector<const Known*> inputs;
  for (ValueId v : node.inputs) {
    if (v.valid()) build.known(v);  // so that the pointers below stay
  }
  for (ValueId v : node.inputs) inputs.push_back(v.valid() ? &build.known(v) : nullptr);
  std::vector<std::vector<Known>> captures;
  for (const Subgraph& s : node.subgraphs) {
    captures.emplace_back();
    for (ValueId v : s.captures) captures.back().push_back(build.known(v));
  }
  std::vector<Known> known =
      in_body ? inferred_in_body(node, inputs, captures) : inferred(node, inputs, captures);
  const std::vector<ValueId> outputs = node.outputs;
  build.graph.add_node(std::move(node));
  for (size_t i = 0; i < outputs.size() && i < known.size(); ++i) {
    if (!outputs[i].valid()) continue;
    build.graph.value(outputs[i]).type = known[i].type;
    build.set_known(outputs[i], std::move(known[i]));
  }
}

}  // namespace treadle::onnx

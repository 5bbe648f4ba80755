// Gradients of added operators, which are added operators too (treadle/op.h).
#include "graph/ops/added.h"

#include <algorithm>

#include "training/gradients/bodies.h"
#include "training/gradients/families.h"

namespace treadle {
namespace {

const Op& gradient_op(GradientContext& c) {
  const std::string& name = c.node().op->gradient;
  if (name.empty()) GradientContext::refuse("this operator has no gradient");
  const size_t dot = name.rfind('.');
  const Op* op = nullptr;
  if (c.operators() != nullptr && dot != std::string::npos) {
    op = c.operators()->find(name.substr(dot + 1), name.substr(0, dot));
  }
  if (op == nullptr) GradientContext::refuse(cat("its gradient ", name, " is no added operator"));
  return *op;
}

// A row's parameters but the variadic one, or as many as the node has.
size_t count_of(const std::vector<Param>& params, size_t given) {
  const bool variadic = !params.empty() && params.back().variadic;
  return std::max(params.size() - (variadic ? 1 : 0), given);
}

// Of the outputs the gradients, then the inputs, then the outputs, each at its place.
std::vector<ValueId> inputs_of_gradient(GradientContext& c) {
  const size_t outputs = count_of(c.node().op->outputs, c.output_count());
  std::vector<ValueId> inputs;
  for (size_t i = 0; i < outputs; ++i) inputs.push_back(c.gy_or_zeros(i).id());
  for (size_t i = 0; i < count_of(c.node().op->inputs, c.input_count()); ++i) {
    inputs.push_back(c.node().input(i));
  }
  for (size_t i = 0; i < outputs; ++i) inputs.push_back(c.y(i).id());
  return inputs;
}

Attributes attributes_of_gradient(const GradientContext& c, const Op& op) {
  Attributes attributes;
  for (const auto& [name, value] : c.node().attributes) {
    if (op.attribute(name) != nullptr) attributes.set(name, value);
  }
  return attributes;
}

bool has_output(const Op& op, size_t i) { return i < op.outputs.size() || op.output(i).variadic; }

}  // namespace

void differentiate_added(GradientContext& c) {
  Node node = node_for(c, &gradient_op(c), "gradient");
  node.attributes = attributes_of_gradient(c, *node.op);
  node.inputs = inputs_of_gradient(c);
  std::vector<size_t> wanted;
  for (size_t i = 0; i < c.input_count(); ++i) {
    if (!c.wants(i)) continue;
    if (!has_output(*node.op, i)) {
      GradientContext::refuse(cat("its gradient ", node.op->full_name(), " has no output for '",
                                  c.node().op->input(i).name, "'"));
    }
    wanted.push_back(i);
    node.outputs.resize(i + 1);
  }
  c.operators()->prepare(node);
  const std::vector<ValueId> results = c.builder().add(std::move(node));
  for (size_t i : wanted) {
    Type& type = c.graph().value(results[i]).type;
    if (type.dtype == DType::kUndefined) type = c.graph().value(c.node().input(i)).type;
    c.set(i, {c.builder(), results[i]});
  }
}

}  // namespace treadle

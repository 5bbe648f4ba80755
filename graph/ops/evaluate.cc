// The reference interpreter over the rows' `eval` and `decompose`.
#include <cstring>

#include "graph/builder.h"
#include "graph/ops/op.h"

namespace treadle {

void copy_elements(const Tensor& from, Tensor& to) {
  TREADLE_CHECK(from.dtype() == to.dtype() && from.count() == to.count(), kInternal,
                "copy between ", dtype_name(from.dtype()), shape_text(from.dims()), " and ",
                dtype_name(to.dtype()), shape_text(to.dims()));
  if (from.dtype() == DType::kString) {
    const auto source = from.data<std::string>();
    std::copy(source.begin(), source.end(), to.data<std::string>().begin());
  } else if (from.bytes() != 0 && from.raw() != to.raw()) {
    std::memmove(to.raw(), from.raw(), from.bytes());
  }
}

EvalContext::EvalContext(const Node& node, std::vector<const Value*> inputs)
    : node_(node), inputs_(std::move(inputs)), outputs_(node.outputs.size()) {
  while (!inputs_.empty() && inputs_.back() == nullptr) inputs_.pop_back();
}

const Value& EvalContext::value(size_t i) const {
  TREADLE_CHECK(has(i), kInvalidModel, "input '", node_.op->input(i).name, "' is missing");
  return *inputs_[i];
}

const Tensor& EvalContext::input(size_t i) const { return value(i).tensor(); }

Tensor& EvalContext::output(size_t i, DType dtype, const Dims& dims) {
  TREADLE_CHECK(dims.size() <= static_cast<size_t>(kMaxRank), kLimit, "rank ", dims.size(),
                " is above the limit of ", kMaxRank);
  if (i >= outputs_.size()) outputs_.resize(i + 1);  // an output nobody wants: computed and dropped
  Value& slot = outputs_[i];
  Tensor* placed = std::get_if<Tensor>(&slot);
  if (placed == nullptr || placed->dtype() != dtype || placed->dims() != dims)
    slot = Tensor(dtype, dims);
  return std::get<Tensor>(slot);
}

void EvalContext::set_output(size_t i, Value value) {
  if (i >= outputs_.size()) outputs_.resize(i + 1);
  outputs_[i] = std::move(value);
}

std::vector<Value> EvalContext::run_body(size_t index, std::vector<Value> formals) const {
  const Subgraph& body = node_.subgraphs[index];
  static const std::vector<Value> kNone;
  const std::vector<Value>& bound = index < captures.size() ? captures[index] : kNone;
  if (run_body_with) return run_body_with(body, std::move(formals), bound);
  formals.insert(formals.end(), bound.begin(), bound.end());
  return evaluate(*body.graph, formals, control);
}

namespace {

// Runs a composite: its decomposition as a graph of its own.
std::vector<Value> evaluate_composite(const Node& node, const std::vector<const Value*>& inputs,
                                      const RunControl* control) {
  std::vector<Type> types;
  std::vector<Value> given;
  for (const Value* v : inputs) {
    if (v == nullptr || v->empty()) {
      types.emplace_back();
      continue;
    }
    const Tensor* t = std::get_if<Tensor>(v);
    types.push_back(t != nullptr ? Type::tensor(t->dtype(), symbolic(t->dims())) : Type{});
    given.push_back(*v);
  }
  return evaluate(decompose_alone(node, types), given, control);
}

}  // namespace

std::vector<Value> evaluate_node(const Node& node, const std::vector<const Value*>& inputs,
                                 const std::vector<std::vector<Value>>& captures,
                                 const RunControl* control) {
  try {
    if (node.op->eval == nullptr) return evaluate_composite(node, inputs, control);
    EvalContext context(node, inputs);
    context.captures = captures;
    context.control = control;
    node.op->eval(context);
    return std::move(context.outputs());
  } catch (Error& e) {
    add_context(e, node);
    throw;
  }
}

std::vector<Value> evaluate(const Graph& graph, const std::vector<Value>& inputs,
                            const RunControl* control) {
  TREADLE_CHECK(inputs.size() == graph.inputs().size(), kInternal, "the graph takes ",
                graph.inputs().size(), " inputs, got ", inputs.size());
  std::vector<Value> values(graph.value_count());
  for (uint32_t i = 0; i < graph.value_count(); ++i) {
    const ValueDef& def = graph.value(ValueId{i});
    if (def.is_constant()) values[i] = def.constant;
  }
  for (size_t i = 0; i < inputs.size(); ++i) values[graph.inputs()[i].index] = inputs[i];
  for (NodeId id : graph.topological_order()) {
    if (control != nullptr) control->poll();
    const Node& node = graph.node(id);
    std::vector<const Value*> in;
    for (ValueId v : node.inputs) in.push_back(v.valid() ? &values[v.index] : nullptr);
    std::vector<std::vector<Value>> captures;
    for (const Subgraph& s : node.subgraphs) {
      captures.emplace_back();
      for (ValueId v : s.captures) captures.back().push_back(values[v.index]);
    }
    std::vector<Value> out = evaluate_node(node, in, captures, control);
    for (size_t i = 0; i < node.outputs.size() && i < out.size(); ++i) {
      if (node.outputs[i].valid()) values[node.outputs[i].index] = std::move(out[i]);
    }
  }
  std::vector<Value> results;
  for (const GraphOutput& o : graph.outputs()) results.push_back(values[o.value.index]);
  return results;
}

}  // namespace treadle

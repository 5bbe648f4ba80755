// Inference of types, shapes and shape values: the engine over the rows' `infer`.
#include <algorithm>

#include "graph/ops/op.h"

namespace treadle {
namespace {

// Tensors up to this many elements are evaluated when all inputs are known, so that shapes computed
// from shapes become shapes.
constexpr int64_t kSmallTensor = 1024;
constexpr int64_t kSmallValues = 64;

struct UnknownRank {};

// The values of an integer tensor of rank 0 or 1 that is wholly known.
std::optional<std::vector<Dim>> values_of(const Tensor& t) {
  if (!t.defined() || t.rank() > 1 || t.count() > kSmallValues) return std::nullopt;
  if (t.dtype() != DType::kInt64 && t.dtype() != DType::kInt32) return std::nullopt;
  const std::vector<int64_t> ints = t.to_ints();
  return std::vector<Dim>(ints.begin(), ints.end());
}

Tensor tensor_of(const std::vector<Dim>& values, const Type& type) {
  if (type.dtype != DType::kInt64 && type.dtype != DType::kInt32) return {};
  if (!std::all_of(values.begin(), values.end(), [](const Dim& d) { return d.known(); })) return {};
  Dims dims;
  if (!type.shape || type.shape->size() > 1) return {};
  if (type.shape->size() == 1) dims = {static_cast<int64_t>(values.size())};
  Tensor t(type.dtype, dims);
  TREADLE_CHECK(t.count() == static_cast<int64_t>(values.size()), kInternal,
                "shape values of the wrong number");
  for (size_t i = 0; i < values.size(); ++i) {
    if (type.dtype == DType::kInt64) {
      t.data<int64_t>()[i] = values[i].value();
    } else {
      t.data<int32_t>()[i] = static_cast<int32_t>(values[i].value());
    }
  }
  return t;
}

void complete(Known& k) {
  if (k.constant.defined()) {
    k.type = Type::tensor(k.constant.dtype(), symbolic(k.constant.dims()));
    if (!k.values) k.values = values_of(k.constant);
  } else if (k.values) {
    k.constant = tensor_of(*k.values, k.type);
  }
}

// Binds type variables by the inputs' dtypes, checks them, and sets the outputs' dtypes.
void bind_dtypes(const Node& node, const std::vector<const Known*>& inputs,
                 std::vector<Known>& outputs) {
  std::vector<std::pair<std::string, DType>> bound;
  auto lookup = [&](const std::string& variable) {
    const auto it = std::find_if(bound.begin(), bound.end(),
                                 [&](const auto& b) { return b.first == variable; });
    return it == bound.end() ? DType::kUndefined : it->second;
  };
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Param& p = node.op->input(i);
    if (inputs[i] == nullptr || p.any) continue;
    const Type& t = inputs[i]->type;
    TREADLE_CHECK(t.is_tensor(), kInvalidModel, "input '", p.name, "' is ", t.text(),
                  ", expected a tensor");
    if (t.dtype == DType::kUndefined) continue;
    TREADLE_CHECK(p.allowed.has(t.dtype), kInvalidModel, "input '", p.name, "' is ",
                  dtype_name(t.dtype), ", which the operator does not take");
    const DType before = lookup(p.type);
    TREADLE_CHECK(before == DType::kUndefined || before == t.dtype, kInvalidModel, "input '",
                  p.name, "' is ", dtype_name(t.dtype),
                  ", but an earlier input of the same type is ", dtype_name(before));
    if (before == DType::kUndefined) bound.emplace_back(p.type, t.dtype);
  }
  for (size_t i = 0; i < outputs.size(); ++i) {
    const Param& p = node.op->output(i);
    if (p.any) continue;
    const DType fixed = dtype_from_name(p.type);
    outputs[i].type.dtype = fixed != DType::kUndefined ? fixed : lookup(p.type);
  }
}

bool is_small_and_known(const std::vector<const Known*>& inputs) {
  return std::all_of(inputs.begin(), inputs.end(), [](const Known* k) {
    return k == nullptr || (k->constant.defined() && k->constant.count() <= kSmallTensor);
  });
}

bool is_small_result(const std::vector<Known>& outputs) {
  return std::all_of(outputs.begin(), outputs.end(), [](const Known& k) {
    if (!k.type.is_tensor() || !k.type.shape) return false;
    const auto dims = concrete(*k.type.shape);
    return dims && element_count(*dims) <= kSmallTensor;
  });
}

// Shapes from shapes: evaluates the node when everything it reads is small and known.
void evaluate_small(const Node& node, const std::vector<const Known*>& inputs,
                    std::vector<Known>& outputs) {
  if (node.op->has(kRandom) || node.op->has(kDataDependent) || !node.subgraphs.empty()) return;
  if (!is_small_and_known(inputs) || !is_small_result(outputs)) return;
  std::vector<Value> values(inputs.size());
  std::vector<const Value*> pointers(inputs.size(), nullptr);
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (inputs[i] == nullptr) continue;
    values[i] = inputs[i]->constant;
    pointers[i] = &values[i];
  }
  std::vector<Value> results;
  try {
    results = evaluate_node(node, pointers);
  } catch (const Error&) {
    return;  // bad data is reported by the run, if the node is run at all
  }
  for (size_t i = 0; i < outputs.size() && i < results.size(); ++i) {
    if (results[i].is_tensor()) outputs[i].constant = results[i].tensor();
  }
}

}  // namespace

InferContext::InferContext(const Node& node, std::vector<const Known*> inputs)
    : node_(node), inputs_(std::move(inputs)), outputs_(node.outputs.size()) {
  while (!inputs_.empty() && inputs_.back() == nullptr) inputs_.pop_back();
  bind_dtypes(node_, inputs_, outputs_);
}

const Type& InferContext::type(size_t i) const {
  TREADLE_CHECK(has(i), kInvalidModel, "input '", node_.op->input(i).name, "' is missing");
  return inputs_[i]->type;
}

const Shape& InferContext::shape(size_t i) const {
  const Type& t = type(i);
  if (!t.shape) throw UnknownRank{};
  return *t.shape;
}

const Tensor* InferContext::constant(size_t i) const {
  return has(i) && inputs_[i]->constant.defined() ? &inputs_[i]->constant : nullptr;
}

const std::vector<Dim>* InferContext::values(size_t i) const {
  return has(i) && inputs_[i]->values ? &*inputs_[i]->values : nullptr;
}

std::optional<std::vector<int64_t>> InferContext::ints(size_t i) const {
  const Tensor* t = constant(i);
  if (t != nullptr && (is_integer(t->dtype()) || t->dtype() == DType::kBool)) return t->to_ints();
  return std::nullopt;
}

void InferContext::set_type(size_t i, Type type) {
  if (i < outputs_.size()) outputs_[i].type = std::move(type);
}
void InferContext::set_dtype(size_t i, DType dtype) {
  if (i < outputs_.size()) outputs_[i].type.dtype = dtype;
}
void InferContext::set_shape(size_t i, Shape shape) {
  TREADLE_CHECK(static_cast<int64_t>(shape.size()) <= kMaxRank, kInvalidModel, "rank ",
                shape.size(), " is above the limit of ", kMaxRank);
  for (const Dim& d : shape) {
    TREADLE_CHECK(!d.known() || d.value() >= 0, kInvalidModel, "the output would have shape ",
                  shape_text(shape));
  }
  if (i < outputs_.size()) outputs_[i].type.shape = std::move(shape);
}
void InferContext::set_values(size_t i, std::vector<Dim> values) {
  if (i < outputs_.size() && values.size() <= static_cast<size_t>(kSmallValues))
    outputs_[i].values = std::move(values);
}

std::vector<Known> InferContext::infer_body(size_t index, std::vector<Known> formals) const {
  const Subgraph& body = node_.subgraphs[index];
  if (captures_ != nullptr && index < captures_->size()) {
    for (const Known& k : (*captures_)[index]) formals.push_back(k);
  }
  formals.resize(body.graph->inputs().size());
  const std::vector<Known> all = infer(*body.graph, formals);
  std::vector<Known> results;
  for (const GraphOutput& o : body.graph->outputs()) results.push_back(all[o.value.index]);
  return results;
}

// Friend of the context: binds the captures and runs the rule.
class Inference {
 public:
  static std::vector<Known> run(const Node& node, const std::vector<const Known*>& inputs,
                                const std::vector<std::vector<Known>>& captures) {
    InferContext context(node, inputs);
    context.captures_ = &captures;
    try {
      if (node.op->infer != nullptr) node.op->infer(context);
    } catch (const UnknownRank&) {
    }
    for (Known& k : context.outputs()) {
      const bool small = k.type.shape && k.type.shape->size() <= 1;
      if (!small) k.values.reset();  // a rule may pass them on through a reshape to a matrix
    }
    for (Known& k : context.outputs()) complete(k);
    evaluate_small(node, inputs, context.outputs());
    for (Known& k : context.outputs()) complete(k);
    return std::move(context.outputs());
  }
};

std::vector<Known> infer_node(const Node& node, const std::vector<const Known*>& inputs,
                              const std::vector<std::vector<Known>>& captures) {
  try {
    return Inference::run(node, inputs, captures);
  } catch (Error& e) {
    std::string where = " with inputs (";
    for (size_t i = 0; i < inputs.size(); ++i) {
      where += (i != 0 ? ", " : "") + (inputs[i] != nullptr ? inputs[i]->type.text() : "-");
    }
    add_context(e, node, where + ")");
    throw;
  }
}

Known known_constant(const Tensor& tensor) {
  Known known;
  known.constant = tensor;
  complete(known);
  return known;
}

std::vector<Known> infer(const Graph& graph, const std::vector<Known>& inputs) {
  std::vector<Known> known(graph.value_count());
  for (uint32_t i = 0; i < graph.value_count(); ++i) {
    const ValueDef& def = graph.value(ValueId{i});
    if (def.is_constant()) known[i] = known_constant(def.constant);
  }
  for (size_t i = 0; i < graph.inputs().size(); ++i) {
    Known& k = known[graph.inputs()[i].index];
    if (k.constant.defined()) continue;
    k = i < inputs.size() ? inputs[i] : Known{};
    if (k.type.is_tensor() && k.type.dtype == DType::kUndefined)
      k.type = graph.value(graph.inputs()[i]).type;
    complete(k);
  }
  for (NodeId id : graph.topological_order()) {
    const Node& node = graph.node(id);
    std::vector<const Known*> in;
    for (ValueId v : node.inputs) in.push_back(v.valid() ? &known[v.index] : nullptr);
    std::vector<std::vector<Known>> captures;
    for (const Subgraph& s : node.subgraphs) {
      captures.emplace_back();
      for (ValueId v : s.captures) captures.back().push_back(known[v.index]);
    }
    std::vector<Known> out = infer_node(node, in, captures);
    for (size_t i = 0; i < node.outputs.size(); ++i) {
      if (node.outputs[i].valid()) known[node.outputs[i].index] = std::move(out[i]);
    }
  }
  return known;
}

std::vector<Known> infer(const Graph& graph) { return infer(graph, {}); }

void annotate(Graph& graph) {
  std::vector<Known> known = infer(graph);
  for (NodeId id : graph.topological_order()) {
    for (ValueId v : graph.node(id).outputs) {
      if (!v.valid()) continue;
      Type& type = graph.value(v).type;
      Type& inferred = known[v.index].type;
      if (inferred.is_tensor() && !inferred.shape && type.is_tensor() && type.shape)
        inferred.shape.emplace(type.shape->size(), Dim::unknown());
      type = std::move(inferred);
    }
  }
}

void infer_same_shape(InferContext& c) { c.set_shape(0, c.shape(0)); }

void infer_broadcast(InferContext& c) {
  Shape shape = c.shape(0);
  for (size_t i = 1; i < c.input_count(); ++i) {
    if (c.has(i)) shape = broadcast(shape, c.shape(i));
  }
  c.set_shape(0, shape);
}

}  // namespace treadle

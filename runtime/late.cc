// What can only be planned in the run: data-dependent nodes, the bodies of control flow, and what
// follows them.
#include <algorithm>

#include "runtime/execution.h"

namespace treadle {
namespace {

constexpr size_t kMaxBodies = 128;  // within each other
constexpr size_t kMaxDepth = 1024;  // these, and the rests behind data-dependent nodes

std::vector<Value*> pointers_to(std::vector<Value>& values) {
  std::vector<Value*> pointers;
  for (Value& v : values) pointers.push_back(&v);
  return pointers;
}

class DepthScope {
 public:
  DepthScope(size_t& depth, size_t limit, const char* what) : depth_(depth) {
    TREADLE_CHECK(depth < limit, kLimit, what, " deeper than ", limit);
    ++depth_;
  }
  ~DepthScope() { --depth_; }
  DepthScope(const DepthScope&) = delete;
  DepthScope& operator=(const DepthScope&) = delete;

 private:
  size_t& depth_;
};

using Lent = std::vector<const Buffer*>;

bool refers_to(const Value& value, const Lent& lent) {
  if (const auto* t = std::get_if<Tensor>(&value)) {
    return std::find(lent.begin(), lent.end(), t->buffer().get()) != lent.end();
  }
  if (const auto* s = std::get_if<std::shared_ptr<const Sequence>>(&value)) {
    return std::any_of((*s)->begin(), (*s)->end(),
                       [&](const Value& element) { return refers_to(element, lent); });
  }
  const auto* o = std::get_if<Optional>(&value);
  return o != nullptr && o->value && refers_to(*o->value, lent);
}

// What outlives the run of its graph: bytes of the arena, in sequences and optionals too, are
// copied. Values nest as deep as their types, which the importer bounds.
Value kept(const Value& value, const Lent& lent) {
  if (!refers_to(value, lent)) return value;
  if (const auto* t = std::get_if<Tensor>(&value)) return t->clone();
  if (const auto* s = std::get_if<std::shared_ptr<const Sequence>>(&value)) {
    Sequence copy;
    for (const Value& element : **s) copy.push_back(kept(element, lent));
    return std::make_shared<const Sequence>(std::move(copy));
  }
  return Optional{std::make_shared<const Value>(kept(*std::get<Optional>(value).value, lent))};
}

// The tensor that a step left at `e`: its bytes are the run's, or of a constant of the plan.
Tensor exported_tensor(const Exported& e, const Bound& bound, Inputs inputs, Outputs outputs) {
  if (e.place.kind == Place::Kind::kConstant) {
    const Tensor& constant = bound.plan->constants[e.place.index];
    const auto at = static_cast<size_t>(constant.raw() - constant.buffer()->data());
    return Tensor(e.spec.dtype, e.spec.dims, constant.buffer(), at + e.place.offset);
  }
  void* base = e.place.kind == Place::Kind::kInput    ? bytes_of(*inputs[e.place.index])
               : e.place.kind == Place::Kind::kOutput ? bytes_of(*outputs[e.place.index])
                                                      : const_cast<std::byte*>(bound.arena);
  const auto bytes = static_cast<size_t>(byte_size(e.spec.dtype, element_count(e.spec.dims)));
  return Tensor(e.spec.dtype, e.spec.dims,
                Buffer::borrow(static_cast<std::byte*>(base) + e.place.offset, bytes));
}

// Copies what the model's constants, the caller's inputs or another output share with the value:
// whoever gets it may write to it.
void own(Value& value, bool shared = false) {
  if (auto* t = std::get_if<Tensor>(&value)) {
    if (shared || t->buffer().use_count() > 1) value = t->clone();
  } else if (auto* s = std::get_if<std::shared_ptr<const Sequence>>(&value)) {
    const bool all = shared || s->use_count() > 1;
    Sequence elements(**s);
    s->reset();
    for (Value& element : elements) own(element, all);
    value = std::make_shared<const Sequence>(std::move(elements));
  } else if (auto* o = std::get_if<Optional>(&value); o != nullptr && o->value) {
    const bool all = shared || o->value.use_count() > 1;
    Value inside = *o->value;
    o->value.reset();
    own(inside, all);
    value = Optional{std::make_shared<const Value>(std::move(inside))};
  }
}

// Fills the tensor given for an output, or sets the output; returns whether it did the latter.
bool hand_over(const std::string& name, const Value& made, const Lent& lent, Value& output) {
  const Tensor* t = std::get_if<Tensor>(&output);
  if (t == nullptr || !t->defined()) {
    output = kept(made, lent);
    return true;
  }
  const Tensor& from = made.tensor();
  copy_elements(from, *given_for(name, from.dtype(), from.dims(), output));
  return false;
}

}  // namespace

void Execution::run_late(const Bound& bound, Inputs inputs, Outputs outputs,
                         const RunControl* control) {
  const std::shared_ptr<const Plan> plan = bound.plan;  // `bound` may be evicted by a nested run
  const Graph& graph = *plan->graph;
  const DepthScope deeper(depth_, kMaxDepth, "data-dependent shapes are chained");
  std::vector<Value> values(graph.value_count());
  Lent lent;
  for (size_t i = 0; i < inputs.size(); ++i) values[graph.inputs()[i].index] = *inputs[i];
  for (const Exported& e : plan->exported) {
    if (e.place.kind == Place::Kind::kNone) continue;
    const Tensor t = exported_tensor(e, bound, inputs, outputs);
    if (e.place.kind != Place::Kind::kConstant) lent.push_back(t.buffer().get());
    values[e.value.index] = t;
  }
  run_dynamic(plan, values, control);
  if (plan->rest) run_rest(*plan, values, control);
  std::vector<Value*> set;
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (plan->outputs[i].is_static) continue;
    const ValueId id = graph.outputs()[i].value;
    Value& made = values[id.index];
    if (made.empty()) made = graph.value(id).constant;
    if (hand_over(graph.outputs()[i].name, made, lent, *outputs[i])) set.push_back(outputs[i]);
  }
  if (depth_ > 1) return;  // a body's results go to the nodes behind it
  values.clear();
  for (Value* output : set) own(*output);
}

void Execution::run_rest(const Plan& plan, std::vector<Value>& values, const RunControl* control) {
  std::vector<const Value*> in;
  for (ValueId v : plan.rest_inputs) in.push_back(&values[v.index]);
  std::vector<Value> results(plan.rest->outputs().size());
  run(plan.rest, in, pointers_to(results), control);
  for (const auto& [from, to] : plan.rest_outputs) {
    values[plan.graph->outputs()[to].value.index] = std::move(results[from]);
  }
}

void Execution::run_dynamic(const std::shared_ptr<const Plan>& plan, std::vector<Value>& values,
                            const RunControl* control) {
  for (size_t i = 0; i < plan->dynamic.size(); ++i) {
    if (control != nullptr) control->poll();
    const Node& node = plan->graph->node(plan->dynamic[i]);
    const double before = profile ? profile->total() : 0;
    const auto start = profile ? Clock::now() : Clock::time_point();
    std::vector<Value> results = run_node(*plan->graph, node, values, control);
    if (profile) {  // steps of its bodies have their own rows
      const double inner = profile->total() - before;
      profile->add(profile->block_of(plan) + plan->steps.size() + i, seconds_since(start) - inner);
    }
    for (size_t k = 0; k < node.outputs.size() && k < results.size(); ++k) {
      if (node.outputs[k].valid()) values[node.outputs[k].index] = std::move(results[k]);
    }
  }
}

std::vector<Value> Execution::run_node(const Graph& graph, const Node& node,
                                       std::vector<Value>& values, const RunControl* control) {
  auto value_of = [&](ValueId v) -> const Value& {
    Value& value = values[v.index];
    if (value.empty() && graph.value(v).is_constant()) value = graph.value(v).constant;
    return value;
  };
  std::vector<const Value*> in;
  for (ValueId v : node.inputs) in.push_back(v.valid() ? &value_of(v) : nullptr);
  if (node.op->eval == nullptr) return evaluate_node(node, in, {}, control);
  try {
    EvalContext context(node, in);
    context.control = control;
    for (const Subgraph& s : node.subgraphs) {
      context.captures.emplace_back();
      for (ValueId v : s.captures) context.captures.back().push_back(value_of(v));
    }
    context.run_body_with = [this, control](const Subgraph& body, const std::vector<Value>& formals,
                                            const std::vector<Value>& captures) {
      const DepthScope inner(bodies_, kMaxBodies, "control flow is nested");
      std::vector<const Value*> given;
      for (const Value& v : formals) given.push_back(&v);
      for (const Value& v : captures) given.push_back(&v);
      std::vector<Value> results(body.graph->outputs().size());
      run(body.graph, given, pointers_to(results), control);
      return results;
    };
    node.op->eval(context);
    return std::move(context.outputs());
  } catch (Error& e) {
    add_context(e, node);
    throw;
  }
}

}  // namespace treadle

#include "runtime/execution.h"

#include <algorithm>
#include <chrono>

namespace treadle {
namespace {

constexpr size_t kMaxBounds = 32;
constexpr size_t kMaxBodies = 128;  // within each other
constexpr size_t kMaxDepth = 1024;  // these, and the rests behind data-dependent nodes

using Clock = std::chrono::steady_clock;
double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

Known known_of(const Value& value) {
  Known known;
  if (const Tensor* t = std::get_if<Tensor>(&value)) {
    known.type = Type::tensor(t->dtype(), symbolic(t->dims()));
  } else {
    known.type.kind = Type::Kind::kSequence;  // any other kind: never placed in an arena
  }
  return known;
}

bool fits(const Known& known, const Value* value) {
  const Tensor* t = std::get_if<Tensor>(value);
  if (t == nullptr) return !known.type.is_tensor();
  if (!known.type.is_tensor() || known.type.dtype != t->dtype() ||
      known.type.shape->size() != t->dims().size()) {
    return false;
  }
  for (size_t i = 0; i < t->dims().size(); ++i) {
    if (!(*known.type.shape)[i].is(t->dims()[i])) return false;
  }
  return true;
}

void* bytes_of(const Value& value) {
  const Tensor* t = std::get_if<Tensor>(&value);
  return t == nullptr ? nullptr : const_cast<std::byte*>(t->raw());
}

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

}  // namespace

std::byte* Execution::arena(size_t depth, size_t bytes) {
  if (arenas_.size() <= depth) arenas_.resize(depth + 1);
  if (!arenas_[depth] || arenas_[depth]->size() < bytes) {
    arenas_[depth].reset();
    arenas_[depth] = Buffer::allocate(bytes);
  }
  return arenas_[depth]->data();
}

std::byte* Execution::arena_for(const Plan& plan) {
  try {
    return arena(depth_, plan.arena_bytes);
  } catch (Error& e) {
    if (plan.largest.valid()) add_context(e, plan.graph->node(plan.largest));
    throw;
  }
}

size_t Execution::arena_bytes() const {
  size_t sum = 0;
  for (const auto& a : arenas_) sum += a ? a->size() : 0;
  return sum;
}

void Execution::clear() {
  bounds_.clear();
  arenas_.clear();
}

Bound& Execution::bind(const std::shared_ptr<const Graph>& graph, Inputs inputs) {
  const auto found = std::find_if(bounds_.begin(), bounds_.end(), [&](const Bound& b) {
    return b.plan->graph == graph && b.depth == depth_ &&
           std::equal(b.types.begin(), b.types.end(), inputs.begin(), inputs.end(), fits);
  });
  if (found != bounds_.end()) {
    bounds_.splice(bounds_.begin(), bounds_, found);
  } else {
    Bound bound;
    for (const Value* v : inputs) bound.types.push_back(known_of(*v));
    bound.plan = model_.plans().get({&model_, graph, bound.types, threads_});
    bound.depth = depth_;
    bounds_.push_front(std::move(bound));
    if (bounds_.size() > kMaxBounds) bounds_.pop_back();
  }
  Bound& bound = bounds_.front();
  const std::byte* base = arena_for(*bound.plan);
  if (bound.arena != base || bound.pointers.empty()) resolve(bound);
  return bound;
}

void Execution::resolve(Bound& bound) {
  const Plan& plan = *bound.plan;
  std::byte* base = arena(bound.depth, plan.arena_bytes);
  bound.arena = base;
  bound.pointers.clear();
  bound.input_patches.clear();
  bound.output_patches.clear();
  auto add = [&](const Place& place) {
    const auto at = static_cast<uint32_t>(bound.pointers.size());
    void* pointer = nullptr;
    switch (place.kind) {
      case Place::Kind::kNone: break;
      case Place::Kind::kArena: pointer = base + place.offset; break;
      case Place::Kind::kInput:
        bound.input_patches.push_back({at, place.index, place.offset});
        break;
      case Place::Kind::kOutput:
        bound.output_patches.push_back({at, place.index, place.offset});
        break;
      case Place::Kind::kConstant:
        pointer = const_cast<std::byte*>(plan.constants[place.index].raw()) + place.offset;
        break;
    }
    bound.pointers.push_back(pointer);
  };
  for (const Step& step : plan.steps) {
    for (const Place& p : step.inputs) add(p);
    for (const Place& p : step.outputs) add(p);
    add(step.scratch);
  }
}

size_t Profile::block_of(const std::shared_ptr<const Plan>& plan) {
  const auto [it, fresh] = blocks_.emplace(plan, steps_.size());
  if (fresh) steps_.insert(steps_.end(), plan->infos.begin(), plan->infos.end());
  return it->second;
}

void Profile::add(size_t row, double seconds) {
  steps_[row].seconds += seconds;
  ++steps_[row].calls;
  total_ += seconds;
}

void Execution::run_steps(const Bound& bound, const RunControl* control) {
  const Plan& plan = *bound.plan;
  void* const* at = bound.pointers.data();
  const bool polled = control != nullptr && control->check;
  const size_t block = profile ? profile->block_of(bound.plan) : 0;
  for (const Step& step : plan.steps) {
    if (polled) control->poll();
    const KernelArgs args{at, at + step.inputs.size(), at[step.inputs.size() + step.outputs.size()],
                          control};
    const auto start = profile ? Clock::now() : Clock::time_point();
    try {
      step.kernel->run(args);
    } catch (Error& e) {
      if (step.node.valid()) add_context(e, plan.graph->node(step.node));
      throw;
    }
    if (profile) profile->add(block + step.info, seconds_since(start));
    at += step.inputs.size() + step.outputs.size() + 1;
  }
}

namespace {

Tensor new_output(const Graph& graph, size_t index, const TensorSpec& spec) {
  try {
    return Tensor(spec.dtype, spec.dims);
  } catch (Error& e) {
    const GraphOutput& output = graph.outputs()[index];
    if (const Node* node = graph.producer(output.value)) add_context(e, *node);
    e.add_context(cat("output '", output.name, "'"));
    throw;
  }
}

// The tensor that the caller gave for an output of this type, or null when it gave none.
Tensor* given_for(const std::string& name, DType dtype, const Dims& dims, Value& output) {
  Tensor* given = std::get_if<Tensor>(&output);
  if (given == nullptr || !given->defined()) return nullptr;
  TREADLE_CHECK(given->dtype() == dtype && given->dims() == dims, kInvalidArgument, "output '",
                name, "' is ", dtype_name(dtype), shape_text(dims), ", the buffer given for it is ",
                dtype_name(given->dtype()), shape_text(given->dims()));
  return given;
}

}  // namespace

void Execution::run(const std::shared_ptr<const Graph>& graph, Inputs inputs, Outputs outputs,
                    const RunControl* control) {
  Bound& bound = bind(graph, inputs);
  const Plan& plan = *bound.plan;
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (!plan.outputs[i].is_static) continue;
    const TensorSpec& spec = plan.outputs[i].spec;
    if (given_for(graph->outputs()[i].name, spec.dtype, spec.dims, *outputs[i]) == nullptr)
      *outputs[i] = new_output(*graph, i, spec);
  }
  for (const Bound::Patch& p : bound.input_patches) {
    bound.pointers[p.at] = static_cast<std::byte*>(bytes_of(*inputs[p.index])) + p.offset;
  }
  for (const Bound::Patch& p : bound.output_patches) {
    bound.pointers[p.at] = static_cast<std::byte*>(bytes_of(*outputs[p.index])) + p.offset;
  }
  run_steps(bound, control);
  const bool late = std::any_of(plan.outputs.begin(), plan.outputs.end(),
                                [](const auto& o) { return !o.is_static; });
  if (late || !plan.dynamic.empty()) run_late(bound, inputs, outputs, control);
}

namespace {

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

// The nodes whose shapes follow from data, then what depends on them.
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

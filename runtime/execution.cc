#include "runtime/execution.h"

#include <algorithm>

namespace treadle {
namespace {

constexpr size_t kMaxBounds = 32;

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

}  // namespace

void* bytes_of(const Value& value) {
  const Tensor* t = std::get_if<Tensor>(&value);
  return t == nullptr ? nullptr : const_cast<std::byte*>(t->raw());
}

Tensor* given_for(const std::string& name, DType dtype, const Dims& dims, Value& output) {
  Tensor* given = std::get_if<Tensor>(&output);
  if (given == nullptr || !given->defined()) return nullptr;
  TREADLE_CHECK(given->dtype() == dtype && given->dims() == dims, kInvalidArgument, "output '",
                name, "' is ", dtype_name(dtype), shape_text(dims), ", the buffer given for it is ",
                dtype_name(given->dtype()), shape_text(given->dims()));
  return given;
}

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
    // Plans that the model's cache has dropped: those in a run are held by it.
    std::erase_if(bounds_, [](const Bound& b) { return b.plan.use_count() == 1; });
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

// Values that no step has put there; what run_late made shares no bytes with a state.
void store_states(const Plan& plan, Inputs inputs, Outputs outputs) {
  for (size_t i = 0; i < outputs.size(); ++i) {
    const Plan::Output& output = plan.outputs[i];
    if (output.state < 0) continue;
    if (!output.in_input) {
      Tensor state = std::get<Tensor>(*inputs[static_cast<size_t>(output.state)]);
      copy_elements(std::get<Tensor>(*outputs[i]), state);
    }
    *outputs[i] = Value();
  }
}

}  // namespace

void Execution::run(const std::shared_ptr<const Graph>& graph, Inputs inputs, Outputs outputs,
                    const RunControl* control) {
  Bound& bound = bind(graph, inputs);
  const std::shared_ptr<const Plan> held = bound.plan;  // a nested run may evict `bound`
  const Plan& plan = *held;
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (!plan.outputs[i].is_static || plan.outputs[i].in_input) continue;
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
  store_states(plan, inputs, outputs);
}

}  // namespace treadle

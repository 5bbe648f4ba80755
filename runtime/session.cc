// One run at a time: checks what the caller gives, then hands over to the execution.
#include <algorithm>
#include <chrono>
#include <functional>
#include <list>
#include <mutex>
#include <unordered_map>

#include "runtime/describe.h"
#include "runtime/execution.h"
#include "runtime/threads.h"

namespace treadle {

namespace {

constexpr size_t kMaxParts = 16;
constexpr size_t kNoSymbol = SIZE_MAX;

// The symbols of a model's input dimensions, numbered.
struct Symbols {
  explicit Symbols(const Model& model) {
    std::unordered_map<std::string, size_t> numbers;
    of_input.resize(model.input_count());
    for (size_t i = 0; i < model.input_count(); ++i) {
      const Type& type = model.input(i).type;
      if (!type.is_tensor() || !type.shape) continue;
      for (const Dim& d : *type.shape) {
        const bool named = !d.known() && !d.is_unknown();
        of_input[i].push_back(named ? numbers.emplace(d.text(), numbers.size()).first->second
                                    : kNoSymbol);
      }
    }
    count = numbers.size();
  }
  std::vector<std::vector<size_t>> of_input;  // by dimension; kNoSymbol where there is none
  size_t count = 0;
};

}  // namespace

class Session::Impl {
 public:
  Impl(const Model& model, int threads) : execution(model, threads), symbols(model) {
    for (size_t i = 0; i < model.input_count(); ++i) {
      const Tensor& fallback = model.input(i).default_value;
      defaults.push_back(fallback.defined() ? Value(fallback) : Value());
    }
  }
  std::unique_lock<std::mutex> claim() {
    std::unique_lock lock(busy, std::try_to_lock);
    TREADLE_CHECK(lock.owns_lock(), kBusy,
                  "the session is running already: use one session a thread");
    return lock;
  }
  std::shared_ptr<const Graph> part(const Model& model, const std::vector<std::string>& wanted);
  // The inputs, with the model's defaults for what is not given.
  std::span<const Value* const> checked(const Model& model, std::span<const Value* const> given);
  MemoryInfo memory_of(const Model& model) const;

  Execution execution;
  std::shared_ptr<const Graph> whole;
  // Graphs cut down to the outputs wanted, most recently used first.
  std::list<std::pair<std::vector<std::string>, std::shared_ptr<const Graph>>> parts;

 private:
  void check_input(const Model& model, size_t i, const Value& value);
  std::mutex busy;
  const Symbols symbols;
  std::vector<Value> defaults;  // of the inputs; empty where there is none
  // Of this run; kept, so that the next one allocates nothing.
  std::vector<const Value*> inputs;
  std::vector<int64_t> sizes;  // of the symbols; -1: not met yet
};

Session::Session(std::shared_ptr<const Model> model, const SessionOptions& options)
    : model_(std::move(model)),
      threads_(options.threads > 0 ? options.threads : default_threads()) {
  TREADLE_CHECK(options.threads >= 0, kInvalidArgument, "threads is ", options.threads);
  if (threads_ > 1) survive_fork();
  impl_ = std::make_unique<Impl>(*model_, threads_);
  // Does not own the model: the model's cached plans hold it, and would hold the model for ever.
  impl_->whole = std::shared_ptr<const Graph>(std::shared_ptr<void>(), &model_->graph());
}

Session::~Session() = default;

namespace {

using Clock = std::chrono::steady_clock;

// The graph cut down to what the wanted outputs need, in their order.
std::shared_ptr<const Graph> part_of(const Model& model, const std::vector<std::string>& wanted) {
  Graph part = model.graph().clone();
  std::vector<GraphOutput> outputs;
  for (const std::string& name : wanted) outputs.push_back(part.outputs()[model.find_output(name)]);
  while (!part.outputs().empty()) part.remove_output(part.outputs().size() - 1);
  for (GraphOutput& o : outputs) part.add_output(o.name, o.value);
  part.remove_dead();
  return std::make_shared<Graph>(std::move(part));
}

bool are_all(const Model& model, const std::vector<std::string>& wanted) {
  if (wanted.empty()) return true;
  bool all = wanted.size() == model.output_count();
  for (size_t i = 0; all && i < wanted.size(); ++i) all = wanted[i] == model.output_name(i);
  return all;
}

const Tensor* given_bytes(const Value& value) {
  const Tensor* t = std::get_if<Tensor>(&value);
  return t != nullptr && t->defined() && t->raw() != nullptr ? t : nullptr;
}

bool overlap(const Value& one, const Value& other) {
  const Tensor *a = given_bytes(one), *b = given_bytes(other);
  if (a == nullptr || b == nullptr) return false;
  const std::less<const std::byte*> before;
  return before(a->raw(), b->raw() + b->bytes()) && before(b->raw(), a->raw() + a->bytes());
}

// Outputs are written while inputs, and other outputs, are still read.
void check_buffers(const Model& model, const Graph& graph, Inputs inputs, Outputs outputs) {
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (given_bytes(*outputs[i]) == nullptr) continue;
    const std::string& name = graph.outputs()[i].name;
    for (size_t k = 0; k < inputs.size(); ++k) {
      TREADLE_CHECK(!overlap(*outputs[i], *inputs[k]), kInvalidArgument,
                    "the buffer given for output '", name, "' overlaps that of input '",
                    model.input(k).name, "'");
    }
    for (size_t k = 0; k < i; ++k) {
      TREADLE_CHECK(!overlap(*outputs[i], *outputs[k]), kInvalidArgument,
                    "the buffer given for output '", name, "' overlaps that of output '",
                    graph.outputs()[k].name, "'");
    }
  }
}

// Ends a run that was cancelled or takes too long.
struct Stop {
  explicit Stop(const RunOptions& options)
      : cancel(options.cancel),
        limit(options.timeout_seconds),
        deadline(Clock::now() + std::chrono::duration<double>(limit)) {}
  bool wanted() const { return cancel != nullptr || limit > 0; }
  void check() const {
    TREADLE_CHECK(cancel == nullptr || !cancel->cancelled(), kCancelled, "the run was cancelled");
    TREADLE_CHECK(limit <= 0 || Clock::now() < deadline, kTimeout, "the run took longer than ",
                  limit, " s");
  }
  const CancelToken* cancel;
  double limit;
  std::chrono::time_point<Clock, std::chrono::duration<double>> deadline;
};

// Whether a sequence, map or optional is of the type; shapes may be any. Nothing is an empty one.
bool is_of(const Type& type, const Value& value) {
  const auto fits = [](DType want, DType got) { return want == DType::kUndefined || want == got; };
  switch (type.kind) {
    case Type::Kind::kTensor: {
      const Tensor* t = std::get_if<Tensor>(&value);
      return t != nullptr && t->defined() && fits(type.dtype, t->dtype());
    }
    case Type::Kind::kSequence: {
      const auto* s = std::get_if<std::shared_ptr<const Sequence>>(&value);
      return s != nullptr && *s != nullptr && type.element != nullptr &&
             std::ranges::all_of(**s, [&](const Value& v) { return is_of(*type.element, v); });
    }
    case Type::Kind::kMap: {
      const auto* m = std::get_if<std::shared_ptr<const Map>>(&value);
      return m != nullptr && *m != nullptr && fits(type.key, (*m)->keys.dtype()) &&
             fits(type.dtype, (*m)->values.dtype());
    }
    case Type::Kind::kOptional: {
      const Optional* o = std::get_if<Optional>(&value);
      return o != nullptr && type.element != nullptr &&
             (o->value == nullptr || is_of(*type.element, *o->value));
    }
  }
  return false;
}

}  // namespace

std::shared_ptr<const Graph> Session::Impl::part(const Model& model,
                                                 const std::vector<std::string>& wanted) {
  if (are_all(model, wanted)) return whole;
  const auto it = std::find_if(parts.begin(), parts.end(),
                               [&](const auto& part) { return part.first == wanted; });
  if (it != parts.end()) {
    parts.splice(parts.begin(), parts, it);
  } else {
    parts.emplace_front(wanted, part_of(model, wanted));
    if (parts.size() > kMaxParts) parts.pop_back();
  }
  return parts.front().second;
}

MemoryInfo Session::Impl::memory_of(const Model& model) const {
  MemoryInfo info;
  info.arena_bytes = execution.arena_bytes();
  info.packed_bytes = model.packs().bytes();
  for (uint32_t i = 0; i < model.graph().value_count(); ++i) {
    const ValueDef& def = model.graph().value(ValueId{i});
    if (!def.is_constant()) continue;
    const auto& buffer = def.constant.buffer();
    if (buffer == nullptr || buffer->in_memory()) info.constant_bytes += def.constant.bytes();
  }
  return info;
}

void Session::Impl::check_input(const Model& model, size_t i, const Value& value) {
  const ValueDef& def = model.input(i);
  if (!def.type.is_tensor()) {
    TREADLE_CHECK(value.empty() || is_of(def.type, value), kInvalidArgument, "input '", def.name,
                  "' is of another type, expected ", def.type.text());
    return;
  }
  const Tensor* t = std::get_if<Tensor>(&value);
  TREADLE_CHECK(t != nullptr && t->defined(), kInvalidArgument, "input '", def.name,
                "' is missing: expected ", def.type.text());
  TREADLE_CHECK(def.type.dtype == DType::kUndefined || t->dtype() == def.type.dtype,
                kInvalidArgument, "input '", def.name, "' is ", dtype_name(t->dtype()),
                shape_text(t->dims()), ", expected ", def.type.text());
  if (!def.type.shape) return;
  TREADLE_CHECK(def.type.shape->size() == t->dims().size(), kInvalidArgument, "input '", def.name,
                "' is ", dtype_name(t->dtype()), shape_text(t->dims()), ", expected rank ",
                def.type.shape->size(), ": ", def.type.text());
  for (size_t d = 0; d < t->dims().size(); ++d) {
    const Dim& want = (*def.type.shape)[d];
    bool ok = !want.known() || want.is(t->dims()[d]);
    if (const size_t symbol = symbols.of_input[i][d]; symbol != kNoSymbol) {
      if (sizes[symbol] < 0) sizes[symbol] = t->dims()[d];
      ok = sizes[symbol] == t->dims()[d];
    }
    TREADLE_CHECK(ok, kInvalidArgument, "input '", def.name, "' is ", dtype_name(t->dtype()),
                  shape_text(t->dims()), ", expected ", def.type.text(), " (dimension ", d, ")");
  }
}

std::span<const Value* const> Session::Impl::checked(const Model& model,
                                                     std::span<const Value* const> given) {
  TREADLE_CHECK(given.size() == model.input_count(), kInvalidArgument, "the model takes ",
                model.input_count(), " inputs, got ", given.size());
  sizes.assign(symbols.count, -1);
  inputs.assign(given.begin(), given.end());
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (inputs[i]->empty()) inputs[i] = &defaults[i];
    check_input(model, i, *inputs[i]);
  }
  return inputs;
}

void Session::run_into(std::span<const Value* const> given, std::span<Value* const> outputs,
                       const RunOptions& options) {
  const auto lock = impl_->claim();
  const std::span<const Value* const> inputs = impl_->checked(*model_, given);
  const std::shared_ptr<const Graph> graph = impl_->part(*model_, options.outputs);
  TREADLE_CHECK(outputs.size() == graph->outputs().size(), kInvalidArgument, "expected room for ",
                graph->outputs().size(), " outputs, got ", outputs.size());
  check_buffers(*model_, *graph, inputs, outputs);
  const Stop stop(options);
  RunControl control;
  if (stop.wanted()) control.check = [&stop] { stop.check(); };  // small enough to need no heap
  const ThreadScope scope(threads_);
  impl_->execution.run(graph, inputs, outputs, control.check ? &control : nullptr);
}

void Session::run_into(std::span<const Value> inputs, std::span<Value> outputs,
                       const RunOptions& options) {
  thread_local std::vector<const Value*> in;  // kept, so that a repeated run allocates nothing
  thread_local std::vector<Value*> out;
  in.clear();
  out.clear();
  for (const Value& v : inputs) in.push_back(&v);
  for (Value& v : outputs) out.push_back(&v);
  run_into(in, out, options);
}

std::vector<Value> Session::run(std::span<const NamedValue> named, const RunOptions& options) {
  std::vector<Value> inputs(model_->input_count());
  for (const NamedValue& n : named) {
    Value& slot = inputs[model_->find_input(n.name)];
    TREADLE_CHECK(slot.empty(), kInvalidArgument, "input '", n.name, "' is given twice");
    slot = n.value;
  }
  std::vector<Value> outputs(options.outputs.empty() ? model_->output_count()
                                                     : options.outputs.size());
  run_into(inputs, outputs, options);
  return outputs;
}

PlanInfo Session::describe_plan(std::span<const Type> input_types) {
  const auto lock = impl_->claim();
  const ThreadScope scope(threads_);
  PlanRequest request{model_.get(), impl_->whole, {}, threads_};
  for (size_t i = 0; i < model_->input_count(); ++i) {
    Known known;
    known.type = i < input_types.size() ? input_types[i] : model_->input(i).type;
    TREADLE_CHECK(!known.type.is_tensor() || (known.type.shape && is_static(*known.type.shape)),
                  kInvalidArgument, "input '", model_->input(i).name, "' needs a shape: it is ",
                  known.type.text());
    request.inputs.push_back(std::move(known));
  }
  const auto plan = model_->plans().get(request);
  PlanInfo info{plan->infos, impl_->memory_of(*model_)};
  info.memory.arena_bytes = plan->arena_bytes;
  const std::vector<StepInfo> late = describe_late(*impl_->whole, request.inputs);
  info.steps.insert(info.steps.end(), late.begin(), late.end());
  return info;
}

MemoryInfo Session::memory() const {
  const auto lock = impl_->claim();
  return impl_->memory_of(*model_);
}

void Session::profile(bool on) {
  const auto lock = impl_->claim();
  impl_->execution.profile.reset();
  if (on) impl_->execution.profile.emplace();
}

std::vector<StepInfo> Session::profile() const {
  const auto lock = impl_->claim();
  TREADLE_CHECK(impl_->execution.profile, kInvalidArgument, "profiling is off");
  return impl_->execution.profile->steps();
}

void Session::trim() {
  const auto lock = impl_->claim();
  impl_->execution.clear();
  impl_->parts.clear();
  model_->plans().clear();
}

}  // namespace treadle

#include <algorithm>
#include <chrono>
#include <functional>
#include <mutex>
#include <unordered_map>

#include "runtime/execution.h"
#include "runtime/threads.h"

namespace treadle {

class Session::Impl {
 public:
  Impl(const Model& model, int threads) : execution(model, threads) {}
  std::unique_lock<std::mutex> claim() {
    std::unique_lock lock(busy, std::try_to_lock);
    TREADLE_CHECK(lock.owns_lock(), kBusy,
                  "the session is running already: use one session a thread");
    return lock;
  }
  Execution execution;
  std::shared_ptr<const Graph> whole;
  std::vector<std::pair<std::vector<std::string>, std::shared_ptr<const Graph>>>
      parts;  // by outputs wanted

 private:
  std::mutex busy;
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

void check_input(const Model& model, size_t i, const Value& value,
                 std::unordered_map<std::string, int64_t>& symbols) {
  const ValueDef& def = model.input(i);
  const Tensor* t = std::get_if<Tensor>(&value);
  if (!def.type.is_tensor()) return;
  TREADLE_CHECK(t != nullptr && t->defined(), kInvalidArgument, "input '", def.name,
                "' is missing: expected ", def.type.text());
  const std::string got = cat(dtype_name(t->dtype()), shape_text(t->dims()));
  TREADLE_CHECK(def.type.dtype == DType::kUndefined || t->dtype() == def.type.dtype,
                kInvalidArgument, "input '", def.name, "' is ", got, ", expected ",
                def.type.text());
  if (!def.type.shape) return;
  TREADLE_CHECK(def.type.shape->size() == t->dims().size(), kInvalidArgument, "input '", def.name,
                "' is ", got, ", expected rank ", def.type.shape->size(), ": ", def.type.text());
  for (size_t d = 0; d < t->dims().size(); ++d) {
    const Dim& want = (*def.type.shape)[d];
    bool ok = !want.known() || want.is(t->dims()[d]);
    if (!want.known() && !want.is_unknown()) {
      ok = symbols.emplace(want.text(), t->dims()[d]).first->second == t->dims()[d];
    }
    TREADLE_CHECK(ok, kInvalidArgument, "input '", def.name, "' is ", got, ", expected ",
                  def.type.text(), " (dimension ", d, ")");
  }
}

// The inputs with the model's defaults for what is not given; `storage` holds them if there are
// any.
std::span<const Value> with_defaults(const Model& model, std::span<const Value> inputs,
                                     std::vector<Value>& storage) {
  TREADLE_CHECK(inputs.size() == model.input_count(), kInvalidArgument, "the model takes ",
                model.input_count(), " inputs, got ", inputs.size());
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Tensor& fallback = model.input(i).default_value;
    if (!inputs[i].empty() || !fallback.defined()) continue;
    if (storage.empty()) storage.assign(inputs.begin(), inputs.end());
    storage[i] = fallback;
  }
  return storage.empty() ? inputs : std::span<const Value>(storage);
}

void check_inputs(const Model& model, std::span<const Value> inputs) {
  std::unordered_map<std::string, int64_t> symbols;
  for (size_t i = 0; i < inputs.size(); ++i) check_input(model, i, inputs[i], symbols);
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
void check_buffers(const Model& model, const Graph& graph, std::span<const Value> inputs,
                   std::span<const Value> outputs) {
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (given_bytes(outputs[i]) == nullptr) continue;
    const std::string& name = graph.outputs()[i].name;
    for (size_t k = 0; k < inputs.size(); ++k) {
      TREADLE_CHECK(!overlap(outputs[i], inputs[k]), kInvalidArgument,
                    "the buffer given for output '", name, "' overlaps that of input '",
                    model.input(k).name, "'");
    }
    for (size_t k = 0; k < i; ++k) {
      TREADLE_CHECK(!overlap(outputs[i], outputs[k]), kInvalidArgument,
                    "the buffer given for output '", name, "' overlaps that of output '",
                    graph.outputs()[k].name, "'");
    }
  }
}

RunControl control_for(const RunOptions& options) {
  RunControl control;
  if (options.cancel == nullptr && options.timeout_seconds <= 0) return control;
  const auto deadline = Clock::now() + std::chrono::duration<double>(options.timeout_seconds);
  control.check = [cancel = options.cancel, limit = options.timeout_seconds, deadline] {
    TREADLE_CHECK(cancel == nullptr || !cancel->cancelled(), kCancelled, "the run was cancelled");
    TREADLE_CHECK(limit <= 0 || Clock::now() < deadline, kTimeout, "the run took longer than ",
                  limit, " s");
  };
  return control;
}

}  // namespace

void Session::run_into(std::span<const Value> given, std::span<Value> outputs,
                       const RunOptions& options) {
  const auto lock = impl_->claim();
  std::vector<Value> storage;
  const std::span<const Value> inputs = with_defaults(*model_, given, storage);
  check_inputs(*model_, inputs);
  std::shared_ptr<const Graph> graph = impl_->whole;
  if (!options.outputs.empty()) {
    const auto it = std::find_if(impl_->parts.begin(), impl_->parts.end(),
                                 [&](const auto& part) { return part.first == options.outputs; });
    graph = it != impl_->parts.end() ? it->second : part_of(*model_, options.outputs);
    if (it == impl_->parts.end()) impl_->parts.emplace_back(options.outputs, graph);
  }
  TREADLE_CHECK(outputs.size() == graph->outputs().size(), kInvalidArgument, "expected room for ",
                graph->outputs().size(), " outputs, got ", outputs.size());
  check_buffers(*model_, *graph, inputs, outputs);
  const RunControl control = control_for(options);
  const ThreadScope scope(threads_);
  impl_->execution.run(graph, inputs, outputs, control.check ? &control : nullptr);
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

std::vector<StepInfo> Session::describe_plan(std::span<const Type> input_types) {
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
  return model_->plans().get(request)->infos;
}

MemoryInfo Session::memory() const {
  const auto lock = impl_->claim();
  MemoryInfo info;
  info.arena_bytes = impl_->execution.arena_bytes();
  info.packed_bytes = model_->packs().bytes();
  for (uint32_t i = 0; i < model_->graph().value_count(); ++i) {
    const ValueDef& def = model_->graph().value(ValueId{i});
    if (def.is_constant()) info.constant_bytes += def.constant.bytes();
  }
  return info;
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

#include "training/trainer.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <unordered_map>

#include "graph/base/suggestion.h"
#include "graph/ops/op.h"
#include "training/diagnose.h"
#include "training/gradient_nodes.h"
#include "training/runner.h"
#include "training/training_step.h"

namespace treadle {
namespace {

using Role = Variable::Role;

// One call at a time.
class Calling {
 public:
  explicit Calling(std::atomic<bool>& flag) : flag_(flag) {
    TREADLE_CHECK(!flag.exchange(true), kBusy, "the trainer is in another call");
  }
  ~Calling() { flag_.store(false); }
  Calling(const Calling&) = delete;
  Calling& operator=(const Calling&) = delete;

 private:
  std::atomic<bool>& flag_;
};

template <class T>
void put(Value& scalar, T number) {
  std::get<Tensor>(scalar).data<T>()[0] = number;
}

}  // namespace

class Trainer::Impl {
 public:
  Impl(Graph given_model, TrainingStep* given_step, const TrainerOptions& trainer_options);

  std::unique_ptr<Runner> make_runner(const Graph& graph);
  // The graph of a step but the last one that makes an update.
  Runner& accumulator();
  Runner& of_batches() { return on_request ? accumulator() : *update; }
  StepResult run(bool updates, std::span<const NamedValue> batch);
  void give(Runner& runner, std::span<const NamedValue> batch);
  bool shapes_changed(std::span<const NamedValue> batch);
  StepResult apply(double factor);
  void check_on_request() const;
  double current_rate() const;
  void put_scalars(double rate_now);
  bool rescale(bool finite);
  [[noreturn]] void report(Runner& runner, const Graph& graph, double loss) const;
  size_t find(const std::string& name) const;
  Tensor& live(size_t i) { return std::get<Tensor>(values[i]); }

  TrainerOptions options;
  const bool own_step;     // the model's file says what it is
  const bool on_request;   // updates are made so
  bool was_finite = true;  // the last batch's loss and gradients
  mutable std::atomic<bool> calling = false;
  Graph model;
  Joint joint;
  std::vector<Input> inputs;  // of a batch
  std::vector<Value> values;  // of the variables
  std::unordered_map<std::string, size_t> index;
  Progress progress;
  Value rate, step, draw, scale, share;  // the scalars that a run reads
  std::unique_ptr<Runner> update, accumulate, eval;
  Runner* last = nullptr;    // that a batch went through
  std::vector<Dims> shapes;  // of the last batch
};

Trainer::Impl::Impl(Graph given_model, TrainingStep* given_step,
                    const TrainerOptions& trainer_options)
    : options(trainer_options),
      own_step(given_step != nullptr),
      on_request(options.joint.accumulate == 0),
      model(std::move(given_model)) {
  check_schedule(options.schedule);
  const ScalingOptions& scaling = options.scaling;
  TREADLE_CHECK(std::isfinite(scaling.initial) && scaling.initial >= 0 && scaling.interval >= 0,
                kInvalidArgument, "the loss scale is ", scaling.initial, ", doubled after ",
                scaling.interval, " runs");
  options.joint.scaled = scaling.initial > 0;
  options.joint.guard = options.joint.guard || options.joint.scaled;
  if (options.joint.scaled) progress.scale = scaling.initial;
  expand_gradient_nodes(model, options.joint.operators);
  joint = own_step ? build_joint(model, std::move(*given_step), options)
                   : build_joint(model, options.joint);
  for (Variable& v : joint.variables) {
    Tensor own = v.initial.clone();
    if (v.role == Role::kParameter || v.role == Role::kStatistic) {
      model.set_constant(model.find_value(v.name), own);
    }
    v.initial = own;
    index[v.name] = values.size();
    values.emplace_back(std::move(own));
  }
  rate = Tensor::scalar<float>(0);
  step = Tensor::scalar<int64_t>(0);
  draw = Tensor::scalar<int64_t>(0);
  scale = Tensor::scalar<float>(1);
  share = Tensor::scalar<float>(1);
  const Graph& of_batch = on_request ? *joint.accumulate : joint.update;
  for (ValueId v : of_batch.inputs()) {
    const ValueDef& def = of_batch.value(v);
    const bool own = index.contains(def.name) || def.name.starts_with("treadle.");
    if (!own) inputs.push_back({def.name, def.type});
  }
  shapes.resize(inputs.size());
  update = make_runner(joint.update);
  last = &of_batches();
}

Runner& Trainer::Impl::accumulator() {
  if (accumulate == nullptr) accumulate = make_runner(*joint.accumulate);
  return *accumulate;
}

std::unique_ptr<Runner> Trainer::Impl::make_runner(const Graph& graph) {
  ModelOptions model_options;
  model_options.device = options.device;
  model_options.optimize = options.optimize;
  model_options.memory_budget = options.memory_budget;
  auto runner = std::make_unique<Runner>(graph.clone(), model_options, options.threads);
  for (const auto& [name, i] : index) runner->bind(name, values[i]);
  runner->bind(kRateInput, rate);
  runner->bind(kStepInput, step);
  runner->bind(kDrawInput, draw);
  runner->bind(kScaleInput, scale);
  runner->bind(kShareInput, share);
  return runner;
}

void Trainer::Impl::give(Runner& runner, std::span<const NamedValue> batch) {
  for (const Input& input : inputs) {
    const auto it = std::ranges::find(batch, input.name, &NamedValue::name);
    TREADLE_CHECK(it != batch.end() && !it->value.empty(), kInvalidArgument, "the batch lacks '",
                  input.name, "', ", input.type.text());
    runner.bind(input.name, it->value);
  }
  for (const NamedValue& extra : batch) {
    if (std::ranges::find(inputs, extra.name, &Input::name) != inputs.end()) continue;
    std::vector<std::string> names;
    for (const Input& input : inputs) names.push_back(input.name);
    fail(Code::kInvalidArgument, "the batch holds '", extra.name, "', which is no input",
         suggestion(extra.name, names));
  }
}

// Remembers the shapes.
bool Trainer::Impl::shapes_changed(std::span<const NamedValue> batch) {
  bool changed = false;
  for (const NamedValue& given : batch) {
    const auto it = std::ranges::find(inputs, given.name, &Input::name);
    if (it == inputs.end() || !given.value.is_tensor()) continue;
    Dims& known = shapes[static_cast<size_t>(it - inputs.begin())];
    if (known == given.value.tensor().dims()) continue;
    known = given.value.tensor().dims();
    changed = true;
  }
  return changed;
}

void Trainer::Impl::put_scalars(double rate_now) {
  put(rate, static_cast<float>(rate_now));
  put(step, progress.steps + 1);
  put(draw, progress.runs + 1);
  put(scale, static_cast<float>(progress.scale));
}

// After a run under loss scaling; false where the scale cannot get smaller.
bool Trainer::Impl::rescale(bool finite) {
  constexpr double kLeast = 0x1p-24, kMost = 0x1p+40;
  if (!finite) {
    progress.good = 0;
    progress.scale /= 2;
    return progress.scale >= kLeast;
  }
  if (options.scaling.interval == 0 || ++progress.good < options.scaling.interval) return true;
  progress.good = 0;
  progress.scale = std::min(progress.scale * 2, kMost);
  return true;
}

void Trainer::Impl::report(Runner& runner, const Graph& graph, double loss) const {
  std::string cause;
  try {
    cause = first_not_finite(graph, runner.inputs, options.threads);
  } catch (const Error& e) {
    cause = e.what();
  }
  const char* const what = std::isfinite(loss) ? "the norm of the gradients" : "the loss";
  fail(Code::kInvalidData, what, " of step ", progress.steps + 1,
       " is not finite: ", cause.empty() ? "no single value is" : cause,
       options.joint.guard ? "; the parameters are as before the step" : "");
}

StepResult Trainer::Impl::run(bool updates, std::span<const NamedValue> batch) {
  Runner& runner = updates ? *update : accumulator();
  give(runner, batch);
  if (shapes_changed(batch)) {
    for (Runner* r : {update.get(), accumulate.get()}) {
      if (r != nullptr) std::ranges::fill(r->results, Value());
    }
  }
  StepResult result;
  result.rate = current_rate();
  put_scalars(result.rate);
  runner.run();
  last = &runner;
  result.loss = number_of(*runner.result(kLossOutput));
  const Value* given = runner.result(kNormOutput);  // scaling needs it, whoever asks for it
  const double norm = given == nullptr ? 0 : number_of(*given);
  if (options.joint.gradient_norm) result.norm = norm;
  const bool finite = std::isfinite(result.loss) && std::isfinite(norm);
  was_finite = finite;
  if (options.joint.scaled ? !rescale(finite) : !finite) {
    report(runner, updates ? joint.update : *joint.accumulate, result.loss);
  }
  result.updated = updates && finite;
  ++progress.runs;
  if (result.updated) ++progress.steps;
  return result;
}

StepResult Trainer::Impl::apply(double factor) {
  StepResult result;
  result.rate = current_rate();
  put_scalars(result.rate);
  put(share, static_cast<float>(factor));
  update->run();
  const Value* norm = update->result(kNormOutput);
  if (norm != nullptr) result.norm = number_of(*norm);
  ++progress.steps;
  return result;
}

void Trainer::Impl::check_on_request() const {
  TREADLE_CHECK(on_request, kInvalidArgument, "updates are made every ", options.joint.accumulate,
                " batches: the option accumulate must be 0 to make them on request");
}

double Trainer::Impl::current_rate() const {
  const double base = progress.rate.value_or(scheduled_rate(options.schedule, progress.steps));
  if (progress.plateau.reductions == 0) return base;
  return base * std::pow(options.schedule.gamma, static_cast<double>(progress.plateau.reductions));
}

size_t Trainer::Impl::find(const std::string& name) const {
  const auto it = index.find(name);
  if (it != index.end()) return it->second;
  std::vector<std::string> names;
  for (const Variable& v : joint.variables) names.push_back(v.name);
  fail(Code::kInvalidArgument, "the trainer has no variable '", name, "'", suggestion(name, names));
}

// ---- The door

Trainer::Trainer(Graph model, const TrainerOptions& options)
    : impl_(std::make_unique<Impl>(std::move(model), nullptr, options)) {}
Trainer::Trainer(Graph model, TrainingStep step, const TrainerOptions& options)
    : impl_(std::make_unique<Impl>(std::move(model), &step, options)) {}
Trainer::~Trainer() = default;

const TrainerOptions& Trainer::options() const { return impl_->options; }
const Graph& Trainer::model() const { return impl_->model; }
std::map<std::string, std::string>& Trainer::metadata() { return impl_->model.metadata; }
const std::vector<std::string>& Trainer::warnings() const { return impl_->joint.warnings; }
const std::vector<Trainer::Input>& Trainer::inputs() const { return impl_->inputs; }
bool Trainer::own_step() const { return impl_->own_step; }
const std::string& Trainer::target() const { return impl_->joint.target; }

std::vector<std::string> Trainer::output_names() const {
  std::vector<std::string> names;
  for (const GraphOutput& o : impl_->model.outputs()) names.push_back(o.name);
  return names;
}

StepResult Trainer::step(std::span<const NamedValue> batch) {
  Impl& t = *impl_;
  const Calling call(t.calling);
  if (!t.on_request) {
    const bool updates = (t.progress.runs + 1) % t.options.joint.accumulate == 0;
    return t.run(updates, batch);
  }
  StepResult result = t.run(false, batch);
  if (!t.was_finite) return result;
  const StepResult applied = t.apply(1);
  result.updated = applied.updated;
  if (t.options.joint.gradient_norm) result.norm = applied.norm;
  return result;
}

StepResult Trainer::accumulate(std::span<const NamedValue> batch) {
  impl_->check_on_request();
  const Calling call(impl_->calling);
  return impl_->run(false, batch);
}

StepResult Trainer::apply(double factor) {
  impl_->check_on_request();
  TREADLE_CHECK(std::isfinite(factor), kInvalidArgument, "an update by ", factor,
                " times the gradients");
  const Calling call(impl_->calling);
  return impl_->apply(factor);
}

void Trainer::zero() {
  impl_->check_on_request();
  const Calling call(impl_->calling);
  for (size_t i = 0; i < variables().size(); ++i) {
    if (variables()[i].role != Role::kSum) continue;
    Tensor& sum = impl_->live(i);
    std::memset(sum.raw(), 0, sum.bytes());
  }
}

const Value& Trainer::fetched(const std::string& name) const {
  const Calling call(impl_->calling);
  const Value* value = impl_->last->result(fetched_output(name));
  TREADLE_CHECK(value != nullptr, kInvalidArgument, "'", name,
                "' is not fetched: the option fetch must name it");
  TREADLE_CHECK(!value->empty(), kInvalidArgument, "'", name,
                "' is not fetched yet: make a step first");
  return *value;
}

Trainer::EvalResult Trainer::eval(std::span<const NamedValue> batch, bool averaged) {
  Impl& t = *impl_;
  const Calling call(t.calling);
  if (t.eval == nullptr) t.eval = t.make_runner(t.joint.eval);
  TREADLE_CHECK(!averaged || t.options.joint.average > 0, kInvalidArgument,
                "no average of the parameters is kept");
  for (const Variable& v : t.joint.variables) {
    if (v.role != Role::kParameter) continue;
    t.eval->bind(v.name, t.values[t.find(averaged ? "average/" + v.name : v.name)]);
  }
  t.give(*t.eval, batch);
  t.eval->run();
  EvalResult result;
  result.outputs = std::move(t.eval->results);
  t.eval->results.assign(result.outputs.size(), Value());
  for (size_t i = 0; i < t.eval->results.size(); ++i) t.eval->outputs[i] = &t.eval->results[i];
  result.loss = number_of(result.outputs.back());
  result.outputs.pop_back();
  return result;
}

double Trainer::rate() const { return impl_->current_rate(); }

void Trainer::set_rate(std::optional<double> rate) {
  TREADLE_CHECK(!impl_->own_step, kInvalidArgument,
                "the learning rate is the model's own: its file says what a step is");
  TREADLE_CHECK(!rate || (std::isfinite(*rate) && *rate >= 0), kInvalidArgument,
                "the learning rate is ", *rate, ", expected a number of at least 0");
  impl_->progress.rate = rate;
}

void Trainer::measured(double value) {
  if (impl_->options.schedule.kind != "plateau") return;
  impl_->progress.plateau.measured(impl_->options.schedule, value);
}

const Progress& Trainer::progress() const { return impl_->progress; }
void Trainer::set_progress(const Progress& progress) { impl_->progress = progress; }
const std::vector<Variable>& Trainer::variables() const { return impl_->joint.variables; }

const Tensor& Trainer::variable(const std::string& name) const {
  return impl_->values[impl_->find(name)].tensor();
}

void Trainer::set_variable(const std::string& name, const Tensor& value) {
  Tensor& own = impl_->live(impl_->find(name));
  TREADLE_CHECK(value.dtype() == own.dtype() && value.dims() == own.dims(), kInvalidArgument,
                "variable '", name, "' is ", dtype_name(own.dtype()), shape_text(own.dims()),
                ", given ", dtype_name(value.dtype()), shape_text(value.dims()));
  copy_elements(value, own);
}

Session& Trainer::session() { return impl_->of_batches().session; }
MemoryInfo Trainer::memory() const { return impl_->of_batches().session.memory(); }

}  // namespace treadle

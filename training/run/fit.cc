#include "training/run/fit.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <optional>
#include <sstream>

#include "files/file.h"
#include "graph/base/suggestion.h"
#include "importer/importer.h"
#include "training/data/exact.h"
#include "training/fine_tuning.h"
#include "training/run/batches.h"
#include "training/run/run_folder.h"

namespace treadle {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Losses and errors are better when less.
bool less_is_better(const std::string& name) {
  const auto ends = [&](std::string_view end) { return name.ends_with(end); };
  return ends("loss") || ends("mae") || ends("rmse");
}

// Numbers of the loop that a checkpoint keeps beside the trainer's.
struct LoopState {
  LoaderState loader;
  double loss_sum = 0;  // over the epoch so far
  int64_t loss_count = 0;
  double best = 0;
  bool has_best = false;
  int64_t bad_epochs = 0;

  std::string text() const {
    std::ostringstream out;
    out << loader.epoch << ' ' << loader.cursor << ' ' << exact_text(loss_sum) << ' ' << loss_count
        << ' ' << exact_text(best) << ' ' << has_best << ' ' << bad_epochs;
    return out.str();
  }
  static LoopState parse(const std::string& text) {
    LoopState s;
    std::istringstream in(text);
    in >> s.loader.epoch >> s.loader.cursor >> s.loss_sum >> s.loss_count >> s.best >> s.has_best >>
        s.bad_epochs;
    TREADLE_CHECK(!in.fail(), kInvalidData, "the checkpoint's state of the run is broken: '", text,
                  "'");
    return s;
  }
};

class Loop {
 public:
  Loop(Trainer& trainer, const DataSet& data, const FitOptions& options)
      : trainer_(trainer),
        options_(options),
        train_(fitted(data.train, trainer)),
        val_(data.val.size == 0 ? Source{} : fitted(data.val, trainer)),
        loader_(train_, options.loader) {}

  FitResult run();

 private:
  void open();
  void restore_newest();
  bool done() const;
  void step();
  void end_epoch();
  void miss_monitor();
  void judge();
  void save(bool best);
  void tell(Event::Kind kind, NamedNumbers numbers = {}, std::string text = "");
  int64_t epoch() const { return loader_.state().epoch; }

  Trainer& trainer_;
  const FitOptions& options_;
  Source train_, val_;
  Loader loader_;
  LoopState state_;
  FitResult result_;
  std::unique_ptr<RunFolder> folder_;
  std::unique_ptr<CheckpointFolder> checkpoints_;
  int64_t epoch_told_ = 0;   // from 1: of the events
  double pending_loss_ = 0;  // of batches whose update is still to come
  int64_t pending_ = 0;
  Clock::time_point epoch_start_ = Clock::now();
  double waited_before_ = 0;
  std::vector<std::string> broken_;
  bool missed_ = false;  // the monitor
};

void Loop::tell(Event::Kind kind, NamedNumbers numbers, std::string text) {
  if (!options_.on_event) return;
  const LoaderState at = loader_.state();
  options_.on_event({kind, epoch_told_, trainer_.progress().steps, at.cursor, loader_.batches(),
                     std::move(numbers), std::move(text)});
}

void Loop::restore_newest() {
  std::vector<std::string> damaged;
  const auto checkpoint = checkpoints_->newest(&damaged);
  for (const std::string& line : damaged) tell(Event::Kind::kStarted, {}, line);
  if (!checkpoint) return;
  try {
    restore(trainer_, *checkpoint);
  } catch (const Error& e) {
    const auto job = options_.out / "job.toml";
    const bool told = std::filesystem::exists(job) && !options_.config.empty();
    const std::string changed = told ? changed_config(read_file(job), options_.config) : "";
    fail(e.code(), e.text(), changed.empty() ? "" : ": ", changed);
  }
  const auto extra = checkpoint->extra.find("run");
  TREADLE_CHECK(extra != checkpoint->extra.end(), kInvalidData, "the checkpoint in '",
                checkpoints_->path().string(), "' is of no run");
  state_ = LoopState::parse(extra->second);
  loader_.seek(state_.loader);
}

void Loop::open() {
  if (options_.out.empty()) return;
  if (options_.resume && std::filesystem::is_directory(options_.out / "checkpoints")) {
    checkpoints_ = std::make_unique<CheckpointFolder>(options_.out / "checkpoints");
    restore_newest();
  }
  const int64_t steps = trainer_.progress().steps;
  const auto kept = options_.out / "checkpoints";
  const bool begun = std::filesystem::is_directory(kept) && !std::filesystem::is_empty(kept);
  if (steps == 0 && (options_.resume || !begun)) RunFolder::clear(options_.out);
  folder_ = std::make_unique<RunFolder>(options_.out, steps);
  if (checkpoints_ == nullptr)
    checkpoints_ = std::make_unique<CheckpointFolder>(options_.out / "checkpoints");
  if (!options_.config.empty()) folder_->config(options_.config);
  if (steps > 0) return;
  folder_->graph(trainer_.model());
  const auto start = options_.out / "start.onnx";
  if (options_.save_start) return options_.save_start(start);
  ::treadle::save(trainer_.model(), start);
}

bool Loop::done() const {
  if (options_.cancel != nullptr && options_.cancel->cancelled()) return true;
  if (options_.patience > 0 && state_.bad_epochs >= options_.patience) return true;
  return options_.steps > 0 ? trainer_.progress().steps >= options_.steps
                            : epoch() >= options_.epochs;
}

void Loop::save(bool best) {
  if (checkpoints_ == nullptr) return;
  state_.loader = loader_.state();
  checkpoints_->save(checkpoint_of(trainer_, {{"run", state_.text()}}), best);
}

void Loop::step() {
  const Batch batch = loader_.next();
  for (const std::string& line : batch.broken) {
    if (std::ranges::find(broken_, line) != broken_.end()) continue;
    broken_.push_back(line);
    tell(Event::Kind::kStarted, {}, "left out: " + line);
  }
  if (batch.samples.empty()) return;
  tell(Event::Kind::kStepStarted);
  const StepResult r = trainer_.step(named_batch(trainer_, train_, batch));
  const auto samples = static_cast<int64_t>(batch.samples.size());
  state_.loss_sum += r.loss * static_cast<double>(samples);
  state_.loss_count += samples;
  pending_loss_ += r.loss;
  ++pending_;
  if (!r.updated) return;
  NamedNumbers numbers = {{"loss", pending_loss_ / static_cast<double>(pending_)}};
  if (!trainer_.own_step()) numbers.emplace_back("rate", r.rate);
  if (trainer_.options().joint.gradient_norm) numbers.emplace_back("gradient_norm", r.norm);
  pending_loss_ = 0;
  pending_ = 0;
  const int64_t steps = trainer_.progress().steps;
  if (folder_ != nullptr) folder_->step(steps, numbers);
  tell(Event::Kind::kStepCompleted, numbers);
}

// What hangs on a number that no epoch has: an error where it ends the run, else a warning, once.
void Loop::miss_monitor() {
  std::vector<std::string> names;
  for (const auto& [name, number] : result_.last) names.push_back(name);
  const std::string close = suggestion(options_.monitor, names);
  TREADLE_CHECK(options_.patience == 0, kInvalidArgument, "patience wants a number '",
                options_.monitor, "' of each epoch, which has none", close);
  const bool plateau = trainer_.options().schedule.kind == "plateau";
  if (missed_ || (options_.monitor == FitOptions().monitor && !plateau)) return;
  missed_ = true;
  tell(Event::Kind::kStarted, {},
       cat("no epoch has a number '", options_.monitor, "', the monitor: none is the best",
           plateau ? ", and the schedule 'plateau' keeps its rate" : "", close));
}

// What the epoch's numbers mean for the best so far, the schedule and the checkpoint.
void Loop::judge() {
  const auto found =
      std::ranges::find(result_.last, options_.monitor, &std::pair<std::string, double>::first);
  if (found == result_.last.end()) miss_monitor();
  bool best = false;
  if (found != result_.last.end() && std::isfinite(found->second)) {
    const double value = found->second;
    const bool less = less_is_better(options_.monitor);
    best = !state_.has_best || (less ? value < state_.best : value > state_.best);
    if (best) state_.best = value;
    state_.has_best = true;
    state_.bad_epochs = best ? 0 : state_.bad_epochs + 1;
    trainer_.measured(less ? value : -value);
  }
  state_.loss_sum = 0;
  state_.loss_count = 0;
  save(best);
}

void Loop::end_epoch() {
  TREADLE_CHECK(state_.loss_count > 0, kInvalidData, "no sample of '", train_.name,
                "' can be read: ", broken_.empty() ? "" : broken_.back());
  const double waited = loader_.waited() - waited_before_, seconds = seconds_since(epoch_start_);
  const auto count = static_cast<double>(state_.loss_count);
  result_.last = {{"train_loss", state_.loss_sum / count}};
  if (val_.size > 0) {
    for (const auto& [name, value] : evaluate_source(trainer_, val_, options_))
      result_.last.emplace_back("val_" + name, value);
  }
  NamedNumbers numbers = result_.last;
  numbers.emplace_back("seconds", seconds);
  numbers.emplace_back("waited_seconds", waited);
  if (folder_ != nullptr) {
    const int64_t steps = trainer_.progress().steps;
    folder_->epoch(epoch_told_, steps, numbers);
    for (const Variable& v : trainer_.variables()) {
      if (options_.histograms && v.role == Variable::Role::kParameter)
        folder_->histogram(steps, v.name, trainer_.variable(v.name));
    }
  }
  tell(Event::Kind::kEpochCompleted, numbers);
  judge();
  ++result_.epochs;
}

FitResult Loop::run() {
  open();
  std::string warnings;
  for (const std::string& line : trainer_.warnings()) warnings += line + "\n";
  tell(Event::Kind::kStarted, {}, warnings);
  int64_t saved_at = trainer_.progress().steps;
  while (!done()) {
    const LoaderState before = loader_.state();
    if (epoch_told_ != before.epoch + 1) {
      epoch_told_ = before.epoch + 1;
      epoch_start_ = Clock::now();
      waited_before_ = loader_.waited();
      tell(Event::Kind::kEpochStarted);
    }
    step();
    const bool last = options_.steps > 0 && trainer_.progress().steps >= options_.steps;
    if (epoch() != before.epoch || last) end_epoch();
    const int64_t steps = trainer_.progress().steps;
    if (options_.checkpoint_steps > 0 && pending_ == 0 &&
        steps >= saved_at + options_.checkpoint_steps) {
      save(false);
      saved_at = steps;
    }
  }
  result_.cancelled = options_.cancel != nullptr && options_.cancel->cancelled();
  if (result_.cancelled && pending_ == 0) save(false);
  result_.steps = trainer_.progress().steps;
  result_.best = state_.best;
  result_.stopped_early = options_.patience > 0 && state_.bad_epochs >= options_.patience;
  if (folder_ != nullptr) {
    folder_->flush();
    Graph trained = trainer_.exported({.averaged = options_.averaged});
    merge_lora(trained);
    ::treadle::save(trained, options_.out / "model.onnx");
  }
  tell(Event::Kind::kCompleted, result_.last);
  return result_;
}

// The output that the loss reads.
size_t output_of(const Trainer& trainer) {
  const std::vector<std::string> names = trainer.output_names();
  const auto found = std::ranges::find(names, trainer.options().joint.output);
  return found == names.end() ? 0 : static_cast<size_t>(found - names.begin());
}

// Targets are classes, and the output their scores, where the data name classes or the loss takes
// integers.
MetricOptions metrics_of(const Trainer& trainer, const Source& source, const Tensor& output) {
  const auto target = std::ranges::find(trainer.inputs(), trainer.target(), &Trainer::Input::name);
  const bool integers = target != trainer.inputs().end() && is_integer(target->type.dtype);
  MetricOptions o;
  if (integers || !source.classes.empty())
    o.classes = output.rank() > 1 ? std::max<int64_t>(output.dim(1), 2) : 2;
  o.ignore_index = trainer.options().joint.loss.ignore_index;
  o.each_iou = source.target_is_mask;
  return o;
}

}  // namespace

NamedNumbers evaluate_source(Trainer& trainer, const Source& source, const FitOptions& options) {
  LoaderOptions plain = options.loader;
  plain.shuffle = plain.drop_last = false;
  plain.batch = batch_size(plain, 0);
  plain.batches.clear();
  plain.augmentation = {};
  Loader loader(source, plain);
  std::optional<Metrics> metrics;
  double loss = 0, samples = 0;
  std::vector<std::string> broken;
  for (int64_t i = 0; i < loader.batches(); ++i) {
    const Batch batch = loader.next();
    broken.insert(broken.end(), batch.broken.begin(), batch.broken.end());
    if (batch.samples.empty()) continue;
    const auto r = trainer.eval(named_batch(trainer, source, batch), options.averaged);
    loss += r.loss * static_cast<double>(batch.samples.size());
    samples += static_cast<double>(batch.samples.size());
    const Value& output = r.outputs[output_of(trainer)];
    if (!output.is_tensor()) continue;
    if (!metrics) metrics.emplace(metrics_of(trainer, source, output.tensor()));
    metrics->add(output.tensor(), batch.target);
  }
  TREADLE_CHECK(samples > 0, kInvalidData, "no sample of '", source.name,
                "' can be read: ", broken.empty() ? "" : broken.back());
  NamedNumbers out = {{"loss", loss / samples}};
  if (!broken.empty()) out.emplace_back("left_out", static_cast<double>(broken.size()));
  if (metrics) {
    for (const auto& number : metrics->values()) out.push_back(number);
  }
  return out;
}

FitResult fit(Trainer& trainer, const DataSet& data, const FitOptions& options) {
  TREADLE_CHECK((options.epochs > 0) != (options.steps > 0), kInvalidArgument,
                "give either epochs or steps, a number above 0");
  Loop loop(trainer, data, options);
  try {
    return loop.run();
  } catch (Error& e) {
    e.add_context(cat("step ", trainer.progress().steps + 1));
    if (options.on_event)
      options.on_event({Event::Kind::kException, 0, trainer.progress().steps, 0, 0, {}, e.what()});
    throw;
  }
}

}  // namespace treadle

#include "tools/treadle/training_run.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <csignal>

#include "importer/importer.h"
#include "tools/treadle/load.h"
#include "tools/treadle/progress.h"
#include "training/data/exact.h"
#include "training/fine_tuning.h"
#include "training/run/batches.h"
#include "training/run/predict.h"
#include "training/run/prepare.h"
#include "training/settings.h"
#include "training/training_step.h"

namespace treadle::tool {
namespace {

struct FlagField {
  const char* flag;
  const char* key;
};
constexpr FlagField kFlagFields[] = {
    {"data", "data.path"},
    {"format", "data.format"},
    {"val-split", "data.val_split"},
    {"channels", "data.channels"},
    {"target", "data.target"},
    {"loss", "train.loss"},
    {"training-loss", "training_loss"},
    {"optimizer", "train.optimizer"},
    {"lr", "train.rate"},
    {"schedule", "train.schedule"},
    {"batch-size", "loader.batch_size"},
    {"epochs", "epochs"},
    {"steps", "steps"},
    {"seed", "train.seed"},
    {"out", "out"},
    {"threads", "train.threads"},
    {"freeze", "train.freeze"},
    {"memory-budget", "train.memory_budget"},
};

bool is_given(const Job& job, std::string_view setting) {
  return std::ranges::any_of(job.settings, [&](const auto& s) { return s.first == setting; });
}

void set_default(Job& job, const std::string& key, const std::string& value) {
  if (!is_given(job, key)) set_job_field(job, cat("train.", key, "=\"", value, "\""));
}

// More of them than samples are numbers that are meant.
void check_fresh_classes(const Source& train) {
  const auto classes = static_cast<int64_t>(train.classes.size());
  TREADLE_CHECK(train.content == Content::kTokens || classes <= train.size, kInvalidArgument,
                "data '", train.name, "' tell ", classes, " classes in ", train.size,
                " samples; if the targets are numbers, not classes, say data.regression=true");
}

Graph fresh_model(Job& job, const Source& train) {
  check_fresh_classes(train);
  NewModelOptions o = job.fresh;
  o.classes = train.classes.empty() ? std::max<int64_t>(element_count(train.target.dims), 1)
                                    : static_cast<int64_t>(train.classes.size());
  o.input_shape = train.inputs.at(0).dims;
  o.seed = job.trainer.joint.seed;
  return new_model(o);
}

int64_t planned_steps(const Job& job, const Source& train) {
  if (job.fit.steps > 0) return job.fit.steps;
  const LoaderOptions& l = job.fit.loader;
  const int64_t accumulate = job.trainer.joint.accumulate;
  const int64_t listed = std::min(std::ssize(l.batches), job.fit.epochs);
  const auto batches = [&](int64_t epoch) {
    const int64_t size = batch_size(l, epoch);
    TREADLE_CHECK(size > 0 && accumulate > 0, kInvalidArgument, "a batch of ", size,
                  " samples, an update of ", accumulate, " batches");
    return batch_count(l, train.size, epoch);
  };
  int64_t all = batches(listed) * (job.fit.epochs - listed);
  for (int64_t epoch = 0; epoch < listed; ++epoch) all += batches(epoch);
  return std::max<int64_t>(all / accumulate, 1);
}

// Before the first step. What cannot be planned, the step will tell.
void tell_memory(Training& training, const Job& job) {
  const LoaderOptions& l = job.fit.loader;
  const int64_t largest = l.batches.empty() ? l.batch : std::ranges::max(l.batches);
  const int64_t samples = std::min(largest, training.data.train.size);
  try {
    const StepMemory m = predict_memory(*training.trainer, training.data.train, samples);
    const auto mb = [](size_t bytes) { return static_cast<double>(bytes) / 1e6; };
    std::fprintf(stderr,
                 "treadle: a step of %lld samples takes %.3g MB: %.3g of weights and slots, ",
                 static_cast<long long>(samples), mb(m.all()), mb(m.variables));
    std::fprintf(stderr, "%.3g of buffers\n", mb(m.all() - m.variables));
  } catch (const Error& e) {
    if (e.code() == Code::kInternal) throw;
  }
}

// By the file's own training where the job asks for it.
std::unique_ptr<Trainer> make_trainer(const Job& job, const std::string& file, Graph model,
                                      bool initialization) {
  if (!job.training_info) return std::make_unique<Trainer>(std::move(model), job.trainer);
  for (const auto& [key, value] : job.settings) {
    TREADLE_CHECK(applies_to_own_step(key), kInvalidArgument, "the option '", key,
                  "' does not go with the model's own training, which says what a step is");
  }
  TrainingStep step = load_training_step(file, load_options(job));
  step.loss = job.training_loss;
  if (initialization) initialize(step);
  return std::make_unique<Trainer>(std::move(model), std::move(step), job.trainer);
}

// The file as it is before the first step, its training included.
void save_start(const std::string& file, Trainer& trainer, const std::filesystem::path& path) {
  std::map<std::string, Tensor> values;
  for (const Variable& v : trainer.variables()) values[v.name] = v.initial;
  save_trained(file, path, values, &trainer.metadata());
}

// What only Treadle's own loss and update take.
void set_defaults(Job& job, const Source& train) {
  const bool classes = is_integer(train.target.dtype);
  set_default(job, "loss", classes ? "cross_entropy" : "mse");
  set_default(job, "optimizer", "adam");
  set_default(job, "rate", exact_text(usual_rate(job.trainer.joint.update.rule)));
  set_default(job, "steps", std::to_string(planned_steps(job, train)));
}

CancelToken& interrupted() {
  static CancelToken token;
  return token;
}

}  // namespace

void apply_flags(const Args& args, Job& job) {
  job.trainer.joint.operators = load_options(args).operators;
  if (args.has("epochs") && args.has("steps"))
    throw UsageError("--epochs and --steps: give one of them");
  if (args.has("steps")) job.fit.epochs = 0;  // a flag goes before what the job's file says
  if (args.has("epochs")) job.fit.steps = 0;
  args.integer("epochs", 1, 1);  // 0 in a job's file means that it tells none
  args.integer("steps", 1, 1);
  for (const FlagField& f : kFlagFields) {
    for (const std::string& value : args.all(f.flag)) set_job_field(job, cat(f.key, "=", value));
  }
  if (args.has("no-shuffle")) job.fit.loader.shuffle = false;
  if (args.has("resume")) job.fit.resume = true;
  if (args.has("training-info")) job.training_info = true;
  if (args.has("no-initialization")) job.initialization = false;
  if (args.has("mean")) job.setup.mean = args.numbers("mean", {});
  if (args.has("std")) job.setup.deviation = args.numbers("std", {});
}

LoadOptions load_options(const Job& job) {
  LoadOptions options;
  options.operators = job.trainer.joint.operators;
  return options;
}

DataSet job_data(Job& job, const Graph* model) {
  if (job.data.empty()) throw UsageError("there are no data: give --data, or path in [data]");
  if (model != nullptr) take_picture_size(*model, job.setup.options);
  job.setup.options.seed = job.trainer.joint.seed;
  return open_data(job.data, job.setup.options);
}

Training prepare(Job& job) {
  if (job.model.empty() && job.fresh.kind.empty())
    throw UsageError("there is no model: give a file, or kind in [new]");
  if (job.model.empty() && job.training_info)
    throw UsageError("a new network has no training of its own: training_info wants a model");
  if (!job.model.empty()) {
    Graph model = load(job.model, load_options(job));
    DataSet data = job_data(job, &model);
    return prepare(job, std::move(data), std::move(model));
  }
  DataSet data = job_data(job, nullptr);
  Graph model = fresh_model(job, data.train);
  return prepare(job, std::move(data), std::move(model));
}

Training prepare(Job& job, DataSet data, Graph model) {
  if (job.fit.epochs == 0 && job.fit.steps == 0) job.fit.epochs = 10;
  check_classes(job.trainer.joint, model, data.train);
  if (!job.training_info) set_defaults(job, data.train);
  job.fit.loader.seed = job.trainer.joint.seed;
  job.fit.loader.preprocess =
      preprocess_of(job.setup, model, data.train, job.fit.loader.skip_broken);
  write_metadata(job.fit.loader.preprocess, data.train, model.metadata);
  Training training;
  training.trainer = make_trainer(job, job.model, std::move(model), job.initialization);
  if (job.training_info) {
    job.fit.save_start = [file = job.model, trainer = training.trainer.get()](const auto& path) {
      save_start(file, *trainer, path);
    };
  }
  check_mixup(job.fit.loader, *training.trainer);
  training.data.train = fitted(data.train, *training.trainer);
  if (data.val.size > 0) training.data.val = fitted(data.val, *training.trainer);
  return training;
}

std::unique_ptr<Trainer> trainer_of_run(const std::string& folder, Job& job, const Args& args) {
  const std::filesystem::path path = folder;
  const bool best = args.has("best");
  read_job((path / "job.toml").string(), job);
  job.trainer.joint.operators = load_options(args).operators;
  const std::string start = (path / "start.onnx").string();
  auto trainer = make_trainer(job, start, load(start, load_options(job)), false);
  const CheckpointFolder checkpoints(path / "checkpoints");
  const auto checkpoint = best ? checkpoints.best() : checkpoints.newest();
  TREADLE_CHECK(checkpoint.has_value(), kIo, "'", folder, "' holds no ", best ? "best " : "",
                "checkpoint");
  restore(*trainer, *checkpoint);
  return trainer;
}

Json numbers_json(const NamedNumbers& numbers) {
  Json json = Json::object();
  for (const auto& [name, value] : numbers) json[name] = value;
  return json;
}

std::string numbers_text(const NamedNumbers& numbers) {
  std::string text;
  for (const auto& [name, value] : numbers) {
    std::array<char, 64> number{};
    std::snprintf(number.data(), number.size(), "%.5g", value);
    text += cat(text.empty() ? "" : "  ", name, " ", number.data());
  }
  return text;
}

int run_training(Training& training, Job& job, const Args& args) {
  if (job.fit.out.empty())
    std::fputs("treadle: nothing of this run is kept: --out DIR would keep it\n", stderr);
  tell_memory(training, job);
  ProgressLines progress;
  if (!job.fit.out.empty()) job.fit.config = job_text(job);
  job.fit.on_event = [&](const Event& e) { progress.told(e); };
  // The first Ctrl-C ends the run after a step, with a checkpoint; a second one kills it.
  std::signal(SIGINT, [](int) {
    interrupted().cancel();
    std::signal(SIGINT, SIG_DFL);
  });
  job.fit.cancel = &interrupted();
  const FitResult r = fit(*training.trainer, training.data, job.fit);
  if (args.has("json")) {
    print_json({{"steps", r.steps},
                {"epochs", r.epochs},
                {"last", numbers_json(r.last)},
                {"monitor", job.fit.monitor},
                {"best", r.best},
                {"stopped_early", r.stopped_early},
                {"interrupted", r.cancelled},
                {"out", job.fit.out.string()}});
  } else {
    std::printf("%lld steps  %s\n", static_cast<long long>(r.steps), numbers_text(r.last).c_str());
    if (!job.fit.out.empty()) std::printf("model: %s\n", (job.fit.out / "model.onnx").c_str());
  }
  return r.cancelled ? kExitTimeout : kExitOk;
}

int print_rates(Training& training, const Job& job, const Args& args) {
  const RateSearch r = find_rate(*training.trainer, training.data.train, job.fit.loader);
  if (args.has("json")) {
    Json points = Json::array();
    for (const Point& p : r.losses) points.push_back({{"rate", p.x}, {"loss", p.y}});
    print_json({{"suggestion", r.suggestion}, {"losses", points}});
    return kExitOk;
  }
  for (const Point& p : r.losses) std::printf("%10.3g  %.5g\n", p.x, p.y);
  std::printf("suggestion: --lr %.2g\n", r.suggestion);
  return kExitOk;
}

}  // namespace treadle::tool

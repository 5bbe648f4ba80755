// Fitting by the C API of training: the loop of run/fit.h over samples in memory or files.
#include <algorithm>

#include "training/c_api/calls.h"
#include "training/data/formats.h"
#include "training/run/fit.h"
#include "training/run/prepare.h"

using treadle::Event;
using treadle::FitOptions;
using treadle::Source;
using treadle::Tensor;
using treadle::Trainer;
using treadle::c_api::Call;
using treadle::c_api::CallKind;
using treadle::c_api::check_given;
using treadle::c_api::guarded;
using treadle::c_api::require;
using treadle::c_api::Telling;

namespace {

static_assert(TREADLE_STARTED == static_cast<int>(Event::Kind::kStarted));
static_assert(TREADLE_STEP_STARTED == static_cast<int>(Event::Kind::kStepStarted));
static_assert(TREADLE_COMPLETED == static_cast<int>(Event::Kind::kCompleted));

Tensor tensor_named(const treadle_samples& samples, const std::string& name) {
  const auto* const end = samples.names + samples.count;
  const auto* const found = std::find(samples.names, end, name);
  TREADLE_CHECK(found != end, kInvalidArgument, "the samples lack '", name, "'");
  const treadle::Value& value = samples.values[found - samples.names]->value;
  TREADLE_CHECK(value.is_tensor(), kInvalidArgument, "the samples of '", name, "' are no tensor");
  return value.tensor();
}

Source source_of(const Trainer& trainer, const treadle_samples& samples, const char* name) {
  check_given(trainer, "the samples hold", samples.names, samples.values, samples.count);
  TREADLE_CHECK(!trainer.target().empty(), kInvalidArgument,
                "the loss takes no target, which a fit wants: make steps instead");
  std::vector<std::pair<std::string, Tensor>> inputs;
  for (const Trainer::Input& input : trainer.inputs()) {
    if (input.name != trainer.target())
      inputs.emplace_back(input.name, tensor_named(samples, input.name));
  }
  const Tensor target = tensor_named(samples, trainer.target());
  Source source = treadle::from_memory(name, std::move(inputs), target);
  TREADLE_CHECK(source.size > 0, kInvalidArgument, "'", name, "' holds no samples");
  return source;
}

// What becomes of an event in the caller's hands; false where it ends the fit.
bool tell(const Event& event, const treadle_fit_options& options) {
  if (options.on_event == nullptr) return true;
  std::vector<const char*> names;
  std::vector<double> numbers;
  for (const auto& [name, number] : event.numbers) {
    names.push_back(name.c_str());
    numbers.push_back(number);
  }
  const treadle_event told = {.struct_size = sizeof told,
                              .kind = static_cast<int32_t>(event.kind),
                              .epoch = event.epoch,
                              .step = event.step,
                              .batch = event.batch,
                              .batches = event.batches,
                              .number_count = numbers.size(),
                              .names = names.data(),
                              .numbers = numbers.data(),
                              .text = event.text.c_str()};
  return options.on_event(options.user, &told) == 0;
}

FitOptions options_of(const treadle_fit_options& given, int64_t steps_made) {
  const auto check = [](const char* name, int64_t number) {
    TREADLE_CHECK(number >= 0, kInvalidArgument, name, " is ", number, ", expected at least 0");
  };
  check("epochs", given.epochs);
  check("steps", given.steps);
  check("batch", given.batch);
  check("threads", given.threads);
  check("patience", given.patience);
  check("checkpoint_steps", given.checkpoint_steps);
  TREADLE_CHECK(given.out != nullptr || given.resume == 0, kInvalidArgument,
                "resume wants the folder `out` of the run");
  TREADLE_CHECK(given.out != nullptr || given.checkpoint_steps == 0, kInvalidArgument,
                "checkpoint_steps wants a folder `out`");
  FitOptions o;
  o.epochs = given.epochs;
  o.steps = given.steps;
  if (o.steps > 0 && given.resume == 0) {
    TREADLE_CHECK(o.steps <= INT64_MAX - steps_made, kInvalidArgument, o.steps, " steps beside ",
                  steps_made, " are beyond 64 bits");
    o.steps += steps_made;
  }
  if (given.batch != 0) o.loader.batch = given.batch;
  o.loader.seed = given.seed;
  o.loader.shuffle = given.in_order == 0;
  o.loader.drop_last = given.drop_last != 0;
  o.loader.threads = given.threads;
  o.patience = given.patience;
  if (given.monitor != nullptr) o.monitor = given.monitor;
  if (given.out != nullptr) o.out = given.out;
  o.resume = given.resume != 0;
  o.checkpoint_steps = given.checkpoint_steps;
  return o;
}

constexpr size_t kFirstResult = sizeof(treadle_fit_result);

// What the calls have in common; `data` opens the data once the trainer is ours, and may fill in
// the options.
template <class Data>
treadle_status fit_with(treadle_trainer* trainer, const treadle_fit_options* options,
                        treadle_fit_result* result, const Data& data) {
  return guarded([&] {
    require(trainer, "trainer");
    require(options, "options");
    const auto given =
        treadle::read_struct(*options, sizeof(size_t) + 2 * sizeof(int64_t), "treadle_fit_options");
    if (result != nullptr) {
      treadle::write_struct(treadle_fit_result{}, kFirstResult, "treadle_fit_result", result);
    }
    const Call call(*trainer, CallKind::kTrains);
    Trainer& of = trainer->trainer;
    FitOptions o = options_of(given, of.progress().steps);
    const treadle::DataSet set = data(of, o);
    treadle::CancelToken token;
    o.cancel = &token;
    o.on_event = [&](const Event& event) {
      const Telling telling(*trainer);
      const bool go_on = tell(event, given);
      if (!go_on || (given.cancel != nullptr && given.cancel->token.cancelled())) token.cancel();
    };
    const treadle::FitResult fitted = fit(of, set, o);
    const treadle_fit_result made = {.struct_size = sizeof made,
                                     .steps = fitted.steps,
                                     .epochs = fitted.epochs,
                                     .best = fitted.best,
                                     .stopped_early = fitted.stopped_early ? 1 : 0,
                                     .cancelled = fitted.cancelled ? 1 : 0};
    if (result != nullptr) {
      treadle::write_struct(made, kFirstResult, "treadle_fit_result", result);
    }
  });
}

treadle::DataSet open_files([[maybe_unused]] const treadle::DataSetup& setup, const char* path) {
#ifdef TREADLE_FORMATS
  return treadle::open_data(path, setup.options);
#else
  treadle::fail(treadle::Code::kUnsupported, "'", path,
                "': this build of the library was made without formats of data");
#endif
}

treadle::DataSet data_of(Trainer& trainer, const treadle_data& data, FitOptions& options) {
  require(data.path, "path");
  TREADLE_CHECK(data.count == 0 || (data.keys != nullptr && data.values != nullptr),
                kInvalidArgument, data.count, " fields of data, and no keys or values");
  treadle::DataSetup setup;
  for (size_t i = 0; i < data.count; ++i) {
    require(data.keys[i], "keys");
    require(data.values[i], "values");
    set_data_field(setup, options.loader, data.keys[i], data.values[i]);
  }
  setup.options.seed = options.loader.seed;
  take_picture_size(trainer.model(), setup.options);
  treadle::DataSet set = open_files(setup, data.path);
  check_classes(trainer.options().joint, trainer.model(), set.train);
  check_mixup(options.loader, trainer);
  options.loader.preprocess =
      preprocess_of(setup, trainer.model(), set.train, options.loader.skip_broken);
  write_metadata(options.loader.preprocess, set.train, trainer.metadata());
  return set;
}

}  // namespace

extern "C" {

treadle_status treadle_trainer_fit(treadle_trainer* trainer, const treadle_samples* train,
                                   const treadle_samples* val, const treadle_fit_options* options,
                                   treadle_fit_result* result) {
  return fit_with(trainer, options, result, [&](const Trainer& of, const FitOptions&) {
    require(train, "train");
    treadle::DataSet data{source_of(of, *train, "train"), {}};
    if (val != nullptr) data.val = source_of(of, *val, "val");
    return data;
  });
}

treadle_status treadle_trainer_fit_data(treadle_trainer* trainer, const treadle_data* data,
                                        const treadle_fit_options* options,
                                        treadle_fit_result* result) {
  return fit_with(trainer, options, result, [&](Trainer& of, FitOptions& o) {
    require(data, "data");
    return data_of(of, treadle::read_struct(*data, sizeof(treadle_data), "treadle_data"), o);
  });
}
}

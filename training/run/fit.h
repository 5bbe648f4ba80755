// The loop around a trainer: epochs of batches, validation, checkpoints, what is told and kept.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "training/checkpoint.h"
#include "training/data/loader.h"
#include "training/metrics.h"
#include "training/run/curves.h"
#include "training/trainer.h"

namespace treadle {

struct Event {
  enum class Kind : uint8_t {
    kStarted,  // text: warnings, a line each
    kEpochStarted,
    kStepStarted,     // of a batch
    kStepCompleted,   // numbers: loss, rate, …
    kEpochCompleted,  // numbers: train_loss, val_loss, metrics of val, seconds, waited
    kException,       // text: what went wrong; it is then thrown
    kCompleted        // numbers: of the last epoch
  };
  Kind kind;
  int64_t epoch = 0;               // from 1
  int64_t step = 0;                // updates so far
  int64_t batch = 0, batches = 0;  // of the epoch
  NamedNumbers numbers;
  std::string text;
};

struct FitOptions {
  int64_t epochs = 0;  // either this
  int64_t steps = 0;   // or this
  LoaderOptions loader;
  // The run's folder: files as RunFolder tells, start.onnx (the model before the first step),
  // checkpoints/ and at the end model.onnx (inference form). "": nothing is kept.
  std::filesystem::path out;
  // Writes start.onnx; none: the trainer's model.
  std::function<void(const std::filesystem::path&)> save_start;
  bool resume = false;           // from the newest checkpoint of `out`, where there is one
  std::string config;            // written to `out` as it is
  int64_t checkpoint_steps = 0;  // also within an epoch
  int64_t patience = 0;          // epochs without a better `monitor` that end the run; 0: none do
  std::string monitor = "val_loss";  // better is less of a loss or error, more of anything else
  bool histograms = false;           // of the parameters, each epoch
  bool averaged = false;             // validates with the average of the parameters
  std::function<void(const Event&)> on_event;
  const CancelToken* cancel = nullptr;  // ends the run after a step, with a checkpoint
};

struct FitResult {
  int64_t steps = 0, epochs = 0;
  NamedNumbers last;  // of the last epoch
  double best = 0;    // of the monitor; 0 where nothing was measured
  bool stopped_early = false;
  bool cancelled = false;
};

// Trains on `data.train`, and validates on `data.val` after each epoch (and at the end of `steps`).
// What a step throws is told as an event and thrown with the step as context; checkpoints stay.
FitResult fit(Trainer& trainer, const DataSet& data, const FitOptions& options);

// The loss (mean over samples) and metrics of the model's output that the loss reads, over all
// samples of a source.
NamedNumbers evaluate_source(Trainer& trainer, const Source& source, const FitOptions& options);

// Losses at learning rates that grow evenly in their logarithm, until the loss explodes; the
// trainer is as before. The suggestion is where the (smoothed) loss falls fastest.
struct RateSearch {
  std::vector<Point> losses;  // x: the rate
  double suggestion = 0;
};
RateSearch find_rate(Trainer& trainer, const Source& source, const LoaderOptions& loader,
                     int64_t steps = 100);

}  // namespace treadle

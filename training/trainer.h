// The door of training: a model, a loss and an update rule become a Trainer, whose steps change the
// parameters in place; `exported` gives the trained model back.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "graph/graph.h"
#include "runtime/runtime.h"
#include "training/joint.h"
#include "training/schedules.h"

namespace treadle {

struct TrainingStep;  // importer/training_info.h

// Loss scaling for 16-bit floats. A run whose gradients are not finite changes nothing and halves
// the scale; `interval` good ones in a row double it.
struct ScalingOptions {
  double initial = 0;       // 0: no scaling
  int64_t interval = 2000;  // 0: the scale stays
};

struct TrainerOptions {
  JointOptions joint;
  ScheduleOptions schedule;
  ScalingOptions scaling;
  int threads = 1;  // results are the same bit for bit at the same count only
  std::string device = "cpu";
  bool optimize = true;
  int64_t memory_budget = 0;  // of a step's buffers, as ModelOptions has it
};

struct StepResult {
  double loss = 0;      // of the batch, before the update
  double rate = 0;      // the learning rate that was used
  double norm = 0;      // of the gradients, where JointOptions asks for it
  bool updated = true;  // false: gradients were added only, or were not finite under scaling
};

// Where a run is; what a checkpoint holds beside the variables.
struct Progress {
  int64_t steps = 0;  // updates made
  int64_t runs = 0;   // batches seen; the draws of Dropout follow it
  Plateau plateau;
  double scale = 1;            // loss scaling
  int64_t good = 0;            // runs since the scale changed
  std::optional<double> rate;  // as set, instead of the schedule's
};

struct ExportOptions {
  bool fold_batchnorm = false;  // into the weights before it, where it can be
  bool averaged = false;        // the average of the parameters (JointOptions::average)
};

// One call of step, accumulate, apply, zero, fetched and eval at a time: a second one is kBusy.
// Values given and taken share bytes with nobody unless said so.
class Trainer {
 public:
  // The model as the importer gives it. Its constants that train are copied; the others are shared.
  // Errors as build_joint and Model::create.
  explicit Trainer(Graph model, const TrainerOptions& options = {});
  // A step is what the model's file says (importer/training_info.h) instead of loss and update.
  // Errors as build_joint in training_step.h and Model::create.
  Trainer(Graph model, TrainingStep step, const TrainerOptions& options = {});
  ~Trainer();
  Trainer(const Trainer&) = delete;
  Trainer& operator=(const Trainer&) = delete;

  const TrainerOptions& options() const;
  // The model that is trained; the constants that train share the live bytes.
  const Graph& model() const;
  // Of the model, and of what is exported.
  std::map<std::string, std::string>& metadata();
  // What was found at creation: parameters that nothing reaches, groups that match nothing.
  const std::vector<std::string>& warnings() const;
  // Names and types of what a batch must hold; the target's (last) where the loss takes one.
  struct Input {
    std::string name;
    Type type;
  };
  const std::vector<Input>& inputs() const;
  // Whether a step is what the model's file says: it then has no learning rate of the trainer's.
  bool own_step() const;
  // The target's name; "" where the loss takes none.
  const std::string& target() const;
  // Names of the model's outputs, in the order of EvalResult::outputs.
  std::vector<std::string> output_names() const;

  // Runs a batch (every input by name, in any order) forward and back, and updates. After the first
  // step at a batch's shape nothing is allocated. kInvalidData when the loss is not finite, naming
  // the first node whose result is not; nothing has changed then, unless `guard` is off. Under loss
  // scaling such a run is skipped.
  StepResult step(std::span<const NamedValue> batch);
  // With JointOptions::accumulate of 0: forward and back; gradients are added to their sums. The
  // result is of the batch, and `updated` false. A step is this, and an update by the sums.
  StepResult accumulate(std::span<const NamedValue> batch);
  // An update by `factor` times the sums (1/n: the mean of n batches'), which are then zero. The
  // result's loss is 0.
  StepResult apply(double factor = 1);
  void zero();  // the sums
  // What the last batch yielded of JointOptions::fetch; the next one overwrites it.
  const Value& fetched(const std::string& name) const;

  struct EvalResult {
    double loss = 0;
    std::vector<Value> outputs;  // the model's
  };
  // Inference form; changes nothing. With the average of the parameters where asked for.
  EvalResult eval(std::span<const NamedValue> batch, bool averaged = false);

  // The rate of the next step: as set, else of the schedule, with what the plateau took off.
  double rate() const;
  void set_rate(std::optional<double> rate);  // nothing: the schedule's again
  // Tells the schedule "plateau" what an epoch measured.
  void measured(double value);
  const Progress& progress() const;

  // Parameters first, then statistics, slots, sums and averages. `initial` shares the live bytes.
  const std::vector<Variable>& variables() const;
  // Shares the live bytes: clone it to keep it. kInvalidArgument with the close match.
  const Tensor& variable(const std::string& name) const;
  // Copies the elements; kInvalidArgument where dtype or dims differ.
  void set_variable(const std::string& name, const Tensor& value);
  // All parameters as one buffer, in their order. Floats; others are converted.
  int64_t parameter_count() const;
  void get_parameters(std::span<float> to) const;
  void set_parameters(std::span<const float> from);
  void set_progress(const Progress& progress);

  // The trained model in inference form: dropout and loss gone, names and metadata kept.
  Graph exported(const ExportOptions& options = {}) const;

  // What a step runs, for inspection and profiles.
  Session& session();
  MemoryInfo memory() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace treadle

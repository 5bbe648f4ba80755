// A model's own training (TrainingInfoProto) as what a trainer runs.
#pragma once

#include "importer/training_info.h"
#include "training/trainer.h"

namespace treadle {

// Whether an option by its key (settings.h) means something for such a step: the others belong to a
// loss or an update that Treadle makes.
bool applies_to_own_step(const std::string& key);

// Evaluates the step's `start`: what it yields is what the bound inputs begin with. kInvalidModel
// where that has another type.
void initialize(TrainingStep& step);

// kInvalidModel, naming the output, where a variable of this type cannot become the value.
void check_becomes(const std::string& name, const Tensor& was, const std::string& output,
                   const Value& value);

// The joint graph of the step, whose model is `model`: its weights are parameters (floats) and
// statistics, what the algorithm holds are slots. A batch holds the inputs of both; the target is
// the algorithm's only one, or the one that JointOptions::target names. Errors: kInvalidArgument
// where there is no such loss or target, or for options of Treadle's own loss and update;
// kUnsupported where a variable's next shape is known only in a run.
Joint build_joint(const Graph& model, TrainingStep step, const TrainerOptions& options);

}  // namespace treadle

// What train, finetune, eval and sweep share: a job made ready, its run told and reported.
#pragma once

#include <memory>
#include <string>

#include "importer/importer.h"
#include "tools/treadle/command.h"
#include "tools/treadle/job.h"
#include "tools/treadle/json.h"

namespace treadle::tool {

// --data, --lr, --epochs and the others that set a job's field; --plugin.
void apply_flags(const Args& args, Job& job);
// What the job's model is loaded with.
LoadOptions load_options(const Job& job);

struct Training {
  DataSet data;
  std::unique_ptr<Trainer> trainer;
};
// Opens the data, loads or makes the model, and fills in what follows from them: classes, sizes of
// pictures, the loss (cross_entropy for classes, mse for numbers), means and deviations, the steps
// of the schedule. UsageError where the job lacks something.
Training prepare(Job& job);
// The same with a model at hand.
Training prepare(Job& job, DataSet data, Graph model);
// The data that the job names, pictures in the size that the model takes.
DataSet job_data(Job& job, const Graph* model);

// The trainer of a run's folder with the newest checkpoint (--best: the best one); fills the job
// that made it. kIo where there is none.
std::unique_ptr<Trainer> trainer_of_run(const std::string& folder, Job& job, const Args& args);

// Trains, telling steps on stderr (a bar on a terminal, else a line an epoch) and the result on
// stdout.
int run_training(Training& training, Job& job, const Args& args);
int print_rates(Training& training, const Job& job, const Args& args);

Json numbers_json(const NamedNumbers& numbers);
std::string numbers_text(const NamedNumbers& numbers);

}  // namespace treadle::tool

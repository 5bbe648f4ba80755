// treadle train: a job, by file, words or flags.
#include <algorithm>
#include <cstdio>

#include "tools/treadle/training_run.h"

namespace treadle::tool {
namespace {

// A file of a job, or a model with flags.
bool is_job(const std::string& path) { return path.ends_with(".toml"); }

}  // namespace

int run_train(const Args& args) {
  if (args.has("fields")) {
    std::fputs(job_reference().c_str(), stdout);
    return kExitOk;
  }
  Job job;
  for (const std::string& word : args.positional) {
    if (is_job(word)) {
      read_job(word, job);
    } else if (word.find('=') != std::string::npos) {
      set_job_field(job, word);
    } else {
      job.model = word;
    }
  }
  apply_flags(args, job);
  if (job.training_info && args.has("find-lr"))
    throw UsageError("--find-lr: the learning rate of the model's own training is its own");
  Training training = prepare(job);
  if (args.has("find-lr")) return print_rates(training, job, args);
  return run_training(training, job, args);
}

}  // namespace treadle::tool

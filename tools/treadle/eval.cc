// treadle eval: the loss and metrics of a run or a model over data.
#include <cstdio>
#include <filesystem>

#include "tools/treadle/training_run.h"
#include "training/run/batches.h"

namespace treadle::tool {
namespace {

// All of the data where they have no validation.
const Source& chosen(const DataSet& data, const Args& args) {
  const std::string split = args.choice("split", {"val", "train"});
  if (split == "train" || data.val.size == 0) return data.train;
  return data.val;
}

}  // namespace

int run_eval(const Args& args) {
  Job job;
  Training training;
  const std::string& given = args.positional[0];
  if (std::filesystem::is_directory(given)) {
    training.trainer = trainer_of_run(given, job, args);
    apply_flags(args, job);
    training.data = job_data(job, &training.trainer->model());
    job.fit.loader.preprocess = read_metadata(training.trainer->model().metadata);
  } else {
    job.model = given;
    if (!args.has("split")) job.setup.options.val_split = 0;
    apply_flags(args, job);
    training = prepare(job);
  }
  const Source source = fitted(chosen(training.data, args), *training.trainer);
  job.fit.averaged = job.fit.averaged || args.has("averaged");
  const NamedNumbers numbers = evaluate_source(*training.trainer, source, job.fit);
  if (args.has("json")) {
    Json json = numbers_json(numbers);
    json["samples"] = source.size;
    print_json(json);
  } else {
    std::printf("%lld samples  %s\n", static_cast<long long>(source.size),
                numbers_text(numbers).c_str());
  }
  return kExitOk;
}

}  // namespace treadle::tool

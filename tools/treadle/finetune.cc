// treadle finetune: a trained model goes on with other data.
#include <algorithm>
#include <cstdio>

#include "importer/importer.h"
#include "tools/treadle/training_run.h"
#include "training/fine_tuning.h"

namespace treadle::tool {
namespace {

// Everything is frozen but these, beside what the job freezes already.
void train_only(const Graph& model, const std::vector<std::string>& names, Job& job) {
  std::string frozen;
  for (const auto& [key, value] : job.settings) {
    if (key == "freeze") frozen = value;
  }
  for (const std::string& name : parameter_names(model)) {
    if (std::ranges::find(names, name) == names.end()) frozen += (frozen.empty() ? "" : ",") + name;
  }
  if (!frozen.empty()) set_job_field(job, cat("train.freeze=\"", frozen, "\""));
}

// The number of classes that the new head has; nothing where the old one stays.
std::optional<int64_t> new_head(const Args& args, const Graph& model, const DataSet& data) {
  if (args.has("replace-head")) return args.integer("replace-head", 0, 1);
  const auto classes = static_cast<int64_t>(data.train.classes.size());
  if (classes == 0 || output_classes(model) == classes) return std::nullopt;
  return classes;
}

void tell_trained(const Trainer& trainer) {
  int64_t trained = 0, all = 0;
  for (const Variable& v : trainer.variables()) {
    if (v.role == Variable::Role::kParameter) trained += v.initial.count();
  }
  for (const std::string& name : parameter_names(trainer.model())) {
    const Graph& g = trainer.model();
    all += g.value(g.find_value(name)).constant.count();
  }
  std::fprintf(stderr, "treadle finetune: trains %lld of %lld parameters\n",
               static_cast<long long>(trained), static_cast<long long>(all));
}

}  // namespace

int run_finetune(const Args& args) {
  if (args.has("train-last") && args.has("lora"))
    throw UsageError("--train-last and --lora: give one of them");
  Job job;
  job.model = args.positional[0];
  for (size_t i = 1; i < args.positional.size(); ++i) set_job_field(job, args.positional[i]);
  apply_flags(args, job);
  if (job.training_info)
    throw UsageError("training_info goes with train: finetune changes the model, not its training");
  Graph model = load(job.model, load_options(job));
  free_batch(model);
  DataSet data = job_data(job, &model);
  const uint64_t seed = job.trainer.joint.seed;
  std::vector<std::string> head;
  if (const auto classes = new_head(args, model, data)) head = replace_head(model, *classes, seed);
  if (args.has("lora")) {
    std::vector<std::string> names = add_lora(model, args.integer("lora", 8, 1), seed);
    names.insert(names.end(), head.begin(), head.end());
    train_only(model, names, job);
  } else if (args.has("train-last")) {
    train_only(model, last_parameters(model, args.integer("train-last", 1, 1)), job);
  }
  Training training = prepare(job, std::move(data), std::move(model));
  tell_trained(*training.trainer);
  // The job that the run keeps begins with the model as it is now.
  if (!job.fit.out.empty()) job.model = (job.fit.out / "start.onnx").string();
  return run_training(training, job, args);
}

}  // namespace treadle::tool

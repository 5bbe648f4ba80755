// A training job: a file of TOML, words KEY=VALUE behind it, or flags. All three set the same
// fields, which one table names, explains and prints.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "training/data/loader.h"
#include "training/new_models.h"
#include "training/run/data_fields.h"
#include "training/run/fit.h"
#include "training/trainer.h"

namespace treadle::tool {

struct Job {
  std::string model;  // a file; else `fresh`
  // The file's own training (TrainingInfoProto), with its initialization or without; its loss.
  bool training_info = false, initialization = true;
  std::string training_loss;
  NewModelOptions fresh;
  std::string data;
  DataSetup setup;
  FitOptions fit;
  TrainerOptions trainer;
  std::vector<std::pair<std::string, std::string>> settings;  // of [train], as they were given
};

// "loader.batch_size": where it lies in a job.
struct JobField {
  const char* key;
  const char* help;
  std::variant<bool*, int*, int64_t*, uint64_t*, double*, std::string*, std::filesystem::path*,
               std::vector<int64_t>*, std::vector<double>*>
      at;
};
// The fields outside [train] of this job (training/settings.h has those), as the documentation
// orders them.
std::vector<JobField> job_fields(Job& job);

// Sets fields from a file; UsageError with the file's line, and the close match of a misspelt key.
void read_job(const std::string& path, Job& job);
// Sets one field, from a word "loader.batch_size=64" (a value as TOML has it, or a bare text).
void set_job_field(Job& job, const std::string& word);
// The whole job, defaults included, as read_job takes it.
std::string job_text(Job& job);
// The documentation of every field, as Markdown.
std::string job_reference();

}  // namespace treadle::tool

// The training that a model's file holds: treadle run --training-steps, and what is told of it.
#pragma once

#include <optional>
#include <string>

#include "importer/training_info.h"
#include "tools/treadle/command.h"

namespace treadle::tool {

int run_training_steps(const Args& args);

// Of the file that `original` was loaded from. Where it can be run it does not count as ignored;
// where not, Graph::ignored tells why.
std::optional<TrainingStep> own_training(const std::string& path, const Args& args,
                                         Graph& original);

}  // namespace treadle::tool

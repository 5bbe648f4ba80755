// A model's own training, which its file holds: TrainingInfoProto.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "importer/importer.h"

namespace treadle {

struct TrainingStep {
  // What ONNX defines as one step: the nodes of the model and of its algorithm as one graph,
  // Gradient nodes as the file has them. What is bound are inputs, whose values are defaults.
  Graph graph;
  std::map<std::string, std::string> updates;  // of such an input: the output that it becomes
  Graph start;                                 // takes nothing; without nodes where there is none
  std::map<std::string, std::string> initial;  // of such an input: the output of `start` to begin
                                               // with
  std::string loss;  // the output that a trainer takes for it; "": the first float scalar that the
                     // algorithm tells and nothing becomes, else the model
};

// Errors as of `load`; kInvalidModel where the file holds no training, a binding leads nowhere or
// to another type, or the model reads what its training makes; kUnsupported where it holds several,
// one that changes nothing, or strings that change.
TrainingStep load_training_step(const std::filesystem::path& path, const LoadOptions& options = {});

// Writes the file again, its training included, with these values of initializers and, where they
// are given, these metadata. External data stay where they are: `to` must then lie in the same
// folder.
void save_trained(const std::filesystem::path& from, const std::filesystem::path& to,
                  const std::map<std::string, Tensor>& values,
                  const std::map<std::string, std::string>* metadata = nullptr);

}  // namespace treadle

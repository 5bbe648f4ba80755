// The joint graph of a training step: forward, loss, backward and update in one, over variables
// (parameters, statistics, slots) that a run overwrites in place (Graph::states).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "graph/graph.h"
#include "training/hooks.h"
#include "training/losses.h"
#include "training/updates.h"

namespace treadle {

class AddedOps;

struct JointOptions {
  LossOptions loss;
  std::string output;             // of the model, which the loss reads; "": the first
  std::string target = "target";  // the name of the input that is added for it
  UpdateOptions update;
  // Parameters are the model's constants of floats and of rank 1 and above that the loss depends
  // on, and those of rank 0 that a group names in full. The frozen ones stay constants.
  std::vector<ParameterGroup> groups;
  // BatchNormalization of trained parameters uses the batch's statistics and updates the running
  // ones, and Dropout drops, also where the model has them in inference form.
  bool training_form = true;
  // Gradients pass QuantizeLinear as if it did not round (straight_through.h).
  bool straight_through = true;
  // A run whose loss (or norm of gradients, where that is computed) is not finite changes no
  // variable.
  bool guard = true;
  // Runs whose gradients are averaged for one update. 0: they are summed until Joint::update, which
  // then runs no model, is asked to use the sums.
  int64_t accumulate = 1;
  double average = 0;          // above 0: keeps a·average + (1-a)·parameter of each parameter
  bool scaled = false;         // the loss's gradient begins at an input, not at 1 (16-bit floats)
  bool gradient_norm = false;  // of all gradients together, before they are bounded
  uint64_t seed = 0;           // of what the model draws
  // Values of the model, or "grad:NAME" of one (where it has a gradient), that a run yields too.
  std::vector<std::string> fetch;
  std::vector<Hook> hooks;
  // That the model was loaded with, and that have gradients; null: none.
  std::shared_ptr<const AddedOps> operators;
};

// Names of the joint graph's own inputs and outputs.
inline constexpr const char* kRateInput = "treadle.rate";    // float scalar
inline constexpr const char* kStepInput = "treadle.step";    // int64 scalar: this update, from 1
inline constexpr const char* kDrawInput = "treadle.draw";    // int64 scalar: this run, for Dropout
inline constexpr const char* kScaleInput = "treadle.scale";  // float scalar
inline constexpr const char* kShareInput = "treadle.share";  // float scalar: times the sums
inline constexpr const char* kLossOutput = "treadle.loss";   // scalar
inline constexpr const char* kNormOutput = "treadle.norm";   // scalar
std::string fetched_output(const std::string& name);         // of JointOptions::fetch

struct Variable {
  enum class Role : uint8_t { kParameter, kStatistic, kSlot, kSum, kAverage };
  std::string name;  // of the input; a parameter's and a statistic's own
  Role role;
  std::string parameter;  // that a slot, sum or average belongs to
  Tensor initial;         // shares the model's bytes
};

struct Joint {
  Graph update;
  std::optional<Graph> accumulate;  // the runs before, unless each makes an update
  Graph eval;                       // inference form: the model's outputs, then the loss
  std::vector<Variable> variables;  // parameters in the order of `parameter_names` first
  std::string target;               // the added input; "" where the loss needs none
  std::vector<std::string> warnings;
};

// The model is one as imported, not optimized. Errors: kInvalidArgument for options that do not fit
// it, kUnsupported listing all nodes without a gradient, kInvalidArgument where nothing can train.
Joint build_joint(const Graph& model, const JointOptions& options);

// Names of the constants that may be parameters, in the order in which the model reads them first.
std::vector<std::string> parameter_names(const Graph& model,
                                         const std::vector<ParameterGroup>& groups = {});

}  // namespace treadle

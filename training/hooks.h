// Hooks: functions of the caller that see a value of a training step as it is made, and may change
// it.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "training/autodiff.h"

namespace treadle {

struct Hook {
  // A value of the model; "grad:NAME", the gradient of one; "part:NAME", each of the gradients that
  // its readers yield, before they are summed to that.
  std::string name;
  // Called by the thread that steps. The rest of the step sees what it leaves in `value`; what it
  // throws ends the step.
  std::function<void(const std::string& name, Tensor& value)> call;
};

// Adds to the request of gradients what the hooks need, and after `add_gradients` has answered it,
// the nodes that call them. kInvalidArgument where there is no such value, or no gradient of it.
void begin_hooks(Graph& graph, const std::vector<Hook>& hooks, GradientTargets& targets);
void finish_hooks(Graph& graph, const std::vector<Hook>& hooks,
                  const std::vector<ValueId>& gradients);

}  // namespace treadle

// The two forms of layers that behave otherwise in training: BatchNormalization and Dropout.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "graph/graph.h"

namespace treadle {

struct TrainingForm {
  // Whether the parameter is trained. A BatchNormalization none of whose parameters is keeps its
  // statistics.
  std::function<bool(ValueId)> trains;
  // Put the layers of an inference model into training form; otherwise those that the model has in
  // training form only.
  bool always = true;
  ValueId draw;       // int64 scalar: the number of the run, which Dropout draws by
  uint64_t seed = 0;  // likewise
};
// Rewrites the layers. The running statistics (constants) that are updated, by name, and their next
// values.
std::map<std::string, ValueId> put_in_training_form(Graph& graph, const TrainingForm& form);

// Rewrites all of them; names of values are kept. Dropout goes where nobody reads its mask.
void put_in_inference_form(Graph& graph);

}  // namespace treadle

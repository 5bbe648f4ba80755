// Pre-processing as part of a model.
#pragma once

#include "graph/graph.h"
#include "training/data/preprocess.h"

namespace treadle {

// The first input takes what it took before times 1/scale (a picture's bytes as floats): the graph
// scales, subtracts the mean and divides by the deviation itself, and its metadata say that nothing
// is left to do.
void embed_preprocess(Graph& graph);

}  // namespace treadle

// What is done to a model that was trained elsewhere before it is trained on.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "graph/graph.h"

namespace treadle {

// A fixed leading dimension of 1 of the inputs becomes the symbol N, where the graph allows it
// (types are inferred anew; kInvalidModel naming the node that does not).
void free_batch(Graph& graph);

// The last layer (Gemm, MatMul or Conv with constant weights, behind it at most a bias, Flatten,
// Reshape to [·, classes], Squeeze or Softmax before the first output) gets `classes` outputs and
// fresh weights under its old names; a Softmax goes, as losses take scores. The names of its
// parameters; kUnsupported where the model does not end so.
std::vector<std::string> replace_head(Graph& graph, int64_t classes, uint64_t seed);
// The last dimension but that of the batch which the first output has; -1 where it is not known.
int64_t output_classes(const Graph& graph);

// Names of the float constants that the last `count` nodes with such constants read.
std::vector<std::string> last_parameters(const Graph& graph, int64_t count);

// Each matrix W that a Gemm or MatMul reads becomes W + A·B of this rank (Hu et al. 2021), B of
// zeros: the model computes what it did. The names of all A and B.
std::vector<std::string> add_lora(Graph& graph, int64_t rank, uint64_t seed);
// W + A·B becomes one matrix under W's name again.
void merge_lora(Graph& graph);

}  // namespace treadle

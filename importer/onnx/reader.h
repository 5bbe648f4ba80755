// ModelProto to Graph: generic over the operators' rows.
#pragma once

#include <vector>

#include "graph/graph.h"
#include "importer/importer.h"
#include "importer/onnx/proto.h"
#include "importer/onnx/tensors.h"

namespace treadle::onnx {

struct ReadOptions {
  const LoadOptions& load;
  // Null: the first problem is thrown. Else every problem goes here, and the graph is not usable
  // when there was one.
  std::vector<Error>* problems = nullptr;
};

Graph read_model(const pb::ModelProto& model, TensorReader& tensors, const ReadOptions& options);

}  // namespace treadle::onnx

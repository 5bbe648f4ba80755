// Graph to ModelProto: generic over the operators' rows.
#pragma once

#include <vector>

#include "graph/graph.h"
#include "importer/importer.h"
#include "importer/onnx/proto.h"

namespace treadle::onnx {

// An initializer whose bytes are still to be put into the model, or into a file beside it.
struct PendingTensor {
  pb::TensorProto* proto;  // in the model; all but its data is set
  Tensor tensor;
};

struct WrittenModel {
  pb::ModelProto model;
  std::vector<PendingTensor> weights;
};

// kUnsupported naming every node that cannot be expressed.
WrittenModel write_model(const Graph& graph, const SaveOptions& options);

}  // namespace treadle::onnx

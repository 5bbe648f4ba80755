// What a model says of itself: producer, version and free properties, kept in Graph::metadata.
#pragma once

#include "graph/graph.h"
#include "importer/onnx/proto.h"

namespace treadle::onnx {

void read_metadata(const pb::ModelProto& model, Graph& graph);
void write_metadata(const Graph& graph, pb::ModelProto& model);

}  // namespace treadle::onnx

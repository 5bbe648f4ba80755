// The order in which a file's nodes can be read.
#pragma once

#include <vector>

#include "importer/onnx/proto.h"

namespace treadle::onnx {

using NodeList = google::protobuf::RepeatedPtrField<pb::NodeProto>;

// Indices such that producers come before readers, subgraphs' outer names included; the file's own
// order wherever it is such. kInvalidModel naming a node when there is a cycle.
std::vector<int> reading_order(const NodeList& nodes);

}  // namespace treadle::onnx

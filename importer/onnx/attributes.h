// AttributeProto to Attribute.
#pragma once

#include "graph/attributes.h"
#include "importer/onnx/proto.h"
#include "importer/onnx/tensors.h"

namespace treadle::onnx {

bool holds_graph(const pb::AttributeProto& proto);
// Any attribute that holds no graph. kInvalidModel when its type and its fields disagree.
Attribute attribute_of(const pb::AttributeProto& proto, TensorReader& tensors);
// The tensor of a Constant node, given in any of its attribute forms.
Tensor constant_of(const pb::AttributeProto& proto, TensorReader& tensors);

}  // namespace treadle::onnx

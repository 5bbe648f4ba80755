// TypeProto to Type and back.
#pragma once

#include <string_view>

#include "graph/type.h"
#include "importer/onnx/proto.h"

namespace treadle::onnx {

// Dimensions without a value or a name become symbols of their own, named after `owner` and the
// axis.
Type type_of(const pb::TypeProto& proto, std::string_view owner);
// Whether a tensor of type `given` may stand where `declared` is.
bool accepts(const Type& declared, const Type& given);
// An unknown dtype leaves the proto empty.
void write_type(const Type& type, pb::TypeProto& proto);

}  // namespace treadle::onnx

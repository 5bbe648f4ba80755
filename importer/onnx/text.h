// Models in ONNX's text form, as onnx.printer writes and onnx.parser reads it.
#pragma once

#include <string>

#include "importer/onnx/bytes.h"

namespace treadle::onnx {

// Whether it begins with a header of such a text: "<ir_version: …" or "<opset_import: …".
bool is_text(const Bytes& bytes);
// The text as a serialized ModelProto. kUnsupported where an operator means another thing at the
// opset that the text states than in this build.
std::string model_of_text(const Bytes& bytes);

}  // namespace treadle::onnx

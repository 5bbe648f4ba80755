// The generated ONNX schema, under a name of its own (importer/CMakeLists.txt renames the package).
#pragma once

#include "treadle_onnx.pb.h"

namespace treadle::onnx {
namespace pb = treadle_onnx;
}  // namespace treadle::onnx

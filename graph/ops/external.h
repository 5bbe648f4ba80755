// Rows whose reference kernels need a library: the kernels lie outside of this folder.
#pragma once

#include "graph/ops/op.h"

namespace treadle {

enum class External : uint8_t { kRegexFullMatch, kImageDecoder };

// Gives the row its kernel, for the whole process. From any thread, any number of times.
void provide_external(External row, EvalFn eval);

}  // namespace treadle

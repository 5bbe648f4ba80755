// The kernels of rows whose reference needs a library (graph/ops/external.h).
#pragma once

#include "graph/ops/op.h"

namespace treadle {

void eval_regex_full_match(EvalContext& c);  // RE2
void eval_image_decoder(EvalContext& c);     // the image libraries that the build found

}  // namespace treadle

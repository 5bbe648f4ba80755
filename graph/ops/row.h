// From the row as written to the row as used.
#pragma once

#include "graph/ops/op.h"

namespace treadle {

// kInternal naming what is wrong with its texts.
Op parse_row(const OpDef& def, uint32_t id);

}  // namespace treadle

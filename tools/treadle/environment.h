// What figures of time depend on beside the model.
#pragma once

#include "tools/treadle/json.h"

namespace treadle::tool {

// Treadle's version, the processor's name, its cores and how many of its threads this process may
// use, the libraries with their instruction sets.
Json environment();

}  // namespace treadle::tool

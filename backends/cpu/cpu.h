// The door of the CPU backend to the registry: oneDNN and native kernels.
#pragma once

#include "backends/backend.h"

namespace treadle {

const Backend& cpu_backend();

}  // namespace treadle

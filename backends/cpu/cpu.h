// The door of the CPU backend to the registry: oneDNN and native kernels.
#pragma once

#include <string>
#include <vector>

#include "backends/backend.h"

namespace treadle {

const Backend& cpu_backend();
// The families that are asked about an operator, in order.
std::vector<std::string> cpu_families(const Op& op);
// "oneDNN 3.2.0 with avx2, native kernels with avx2".
std::string cpu_libraries();

}  // namespace treadle

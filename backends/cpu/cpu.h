// The door of the CPU backend to the registry: oneDNN and native kernels.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "backends/backend.h"

namespace treadle {

const Backend& cpu_backend();
// The families that are asked about an operator, in order.
std::vector<std::string> cpu_families(const Op& op);
// Which kernels come first for nodes compiled from now on, whether they are faster or not:
// "native", "onednn", "tiles" or "winograd", where they support the node; "" = the fastest. Until
// it is called, what the environment variable TREADLE_FORCE says. kInvalidArgument for any other
// word. Not thread-safe.
void force_cpu_kernels(std::string_view word);
// "oneDNN 3.2.0 with avx2, native kernels with avx2".
std::string cpu_libraries();

}  // namespace treadle

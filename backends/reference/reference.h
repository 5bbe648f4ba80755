// The reference backend: every operator through its row. The last resort of placement, and the
// tests' oracle.
#pragma once

#include "backends/backend.h"

namespace treadle {

// A node as a Kernel that calls the row's `eval` (or decomposition). Allocates while it runs.
std::unique_ptr<Kernel> reference_kernel(const NodeSpec& spec);

// Gives the rows of graph/ops/external.h their kernels.
void provide_external_kernels();

}  // namespace treadle

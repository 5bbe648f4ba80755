// What this build can run on, for those who show it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "graph/ops/op.h"

namespace treadle {

struct DeviceInfo {
  std::string name;    // as find_backend takes it
  std::string detail;  // libraries, instruction sets in use
};
std::vector<DeviceInfo> devices();

// The families of kernels that a device asks about an operator, in order; empty where it has none.
std::vector<std::string> kernel_families(std::string_view device, const Op& op);

}  // namespace treadle

// The list of backends by device name.
#include "backends/registry.h"

#include "backends/backend.h"
#include "backends/cpu/cpu.h"
#include "backends/reference/reference.h"

namespace treadle {

std::vector<DeviceInfo> devices() {
  return {{"cpu", cpu_libraries()}, {"reference", "plain C++, one thread: what is correct"}};
}

std::vector<std::string> kernel_families(std::string_view device, const Op& op) {
  return device == "cpu" ? cpu_families(op) : std::vector<std::string>{};
}

const Backend* find_backend(std::string_view device, std::string* why_not) {
  provide_external_kernels();
  if (device == "cpu") return &cpu_backend();
  if (device == "reference") return &reference_backend();
  if (why_not != nullptr) {
    std::string names;
    for (const DeviceInfo& d : devices()) names += (names.empty() ? "" : ", ") + d.name;
    *why_not = cat("unknown device '", device, "': this build has ", names);
  }
  return nullptr;
}

}  // namespace treadle

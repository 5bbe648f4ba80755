// The list of backends by device name.
#include "backends/backend.h"
#include "backends/cpu/cpu.h"
#include "backends/reference/reference.h"

namespace treadle {

const Backend* find_backend(std::string_view device, std::string* why_not) {
  provide_external_kernels();
  if (device == "cpu") return &cpu_backend();
  if (device == "reference") return &reference_backend();
  if (why_not != nullptr) {
    *why_not = cat("unknown device '", device, "': this build has cpu and reference");
  }
  return nullptr;
}

}  // namespace treadle

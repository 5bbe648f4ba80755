#include "backends/cpu/simd/simd.h"

#include <hwy/highway.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <mutex>

#include "backends/cpu/simd/amx.h"
#include "graph/base/error.h"

namespace treadle::cpu {
namespace {

struct Target {
  const char* name;
  SimdTarget target;
  bool (*available)();  // compiled, and runs here
};

#if HWY_ARCH_X86
bool has_avx2() {
  return (HWY_TARGETS & HWY_AVX2) != 0 && __builtin_cpu_supports("avx2") &&
         __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") &&
         __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("f16c");
}
bool has_avx512() {
  return (HWY_TARGETS & HWY_AVX3) != 0 && has_avx2() && __builtin_cpu_supports("avx512f") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq");
}
bool has_vnni() { return has_avx512() && __builtin_cpu_supports("avx512vnni"); }
bool has_amx() { return has_vnni() && amx_available(); }
#endif

// Best first.
constexpr Target kTargets[] = {
#if HWY_ARCH_X86
    {"avx512_amx", SimdTarget::kAvx512Amx, has_amx},
    {"avx512_vnni", SimdTarget::kAvx512Vnni, has_vnni},
    {"avx512", SimdTarget::kAvx512, has_avx512},
    {"avx2", SimdTarget::kAvx2, has_avx2},
#endif
    {"scalar", SimdTarget::kScalar, [] { return true; }},
};

std::atomic<SimdTarget> chosen = SimdTarget::kScalar;

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

void choose(std::string_view name) {
  for (const Target& t : kTargets) {
    if ((!name.empty() && name != t.name) || !t.available()) continue;
    chosen = t.target;
    return;
  }
  fail(Code::kInvalidArgument, "the instruction set '", name,
       "' is not available; there are: ", joined(simd_targets()));
}

// TREADLE_ISA also takes oneDNN's names: "avx512_core_vnni", "sse41".
SimdTarget at_most(std::string_view name) {
  if (name.starts_with("avx512")) {
    if (name.find("amx") != name.npos) return SimdTarget::kAvx512Amx;
    return name.ends_with("512") || name.ends_with("core") ? SimdTarget::kAvx512
                                                           : SimdTarget::kAvx512Vnni;
  }
  return name.starts_with("avx2") ? SimdTarget::kAvx2 : SimdTarget::kScalar;
}

void choose_from_environment() {
  const char* wanted = std::getenv("TREADLE_ISA");
  if (wanted == nullptr || *wanted == '\0') return choose("");
  const SimdTarget most = at_most(wanted);
  chosen = std::ranges::find_if(kTargets, [most](const Target& t) {
             return t.target <= most && t.available();
           })->target;
}

}  // namespace

std::vector<std::string> simd_targets() {
  std::vector<std::string> names;
  for (const Target& t : kTargets) {
    if (t.available()) names.emplace_back(t.name);
  }
  return names;
}

std::string_view simd_target() {
  return std::ranges::find(kTargets, chosen_target(), &Target::target)->name;
}

void set_simd_target(std::string_view name) {
  chosen_target();
  choose(name);
}

SimdTarget chosen_target() {
  static std::once_flag once;
  std::call_once(once, choose_from_environment);
  return chosen;
}

bool permutes_bytes() {
#if HWY_ARCH_X86
  return chosen_target() >= SimdTarget::kAvx512Vnni && __builtin_cpu_supports("avx512vbmi");
#else
  return false;
#endif
}

}  // namespace treadle::cpu

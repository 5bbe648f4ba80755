#include "backends/cpu/simd/simd.h"

#include <hwy/highway.h>

#include <cstdlib>
#include <mutex>

#include "graph/base/error.h"

namespace treadle::cpu {
namespace {

struct Target {
  const char* name;
  int64_t bits;
};
// No code is compiled for Highway's own target of this name: here it says that there is VNNI.
constexpr int64_t kVnni = HWY_AVX3_DL;
constexpr Target kTargets[] = {{"avx512_vnni", HWY_AVX3 | kVnni},
                               {"avx512", HWY_AVX3},
                               {"avx2", HWY_AVX2},
                               {"scalar", HWY_SCALAR}};

bool has_vnni() {
#if HWY_ARCH_X86
  return __builtin_cpu_supports("avx512vnni") != 0;
#else
  return false;
#endif
}

// Asked once: CPUID takes tens of microseconds in a virtual machine.
int64_t detected() {
  static const int64_t supported =
      (hwy::SupportedTargets() & HWY_TARGETS & ~kVnni) | (has_vnni() ? kVnni : 0);
  return supported;
}

bool available(const Target& target) { return (detected() & target.bits) == target.bits; }

void use(int64_t bits) {
  hwy::SetSupportedTargetsForTest(bits);
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
}

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

void choose(std::string_view name) {
  if (name.empty()) return use(detected());
  for (const Target& target : kTargets) {
    if (name == target.name && available(target)) return use(target.bits);
  }
  fail(Code::kInvalidArgument, "the instruction set '", name,
       "' is not available; there are: ", joined(simd_targets()));
}

// TREADLE_ISA also takes oneDNN's names: "avx512_core_vnni", "sse41".
std::string_view own_name(std::string_view name) {
  if (name.starts_with("avx512"))
    return name.ends_with("512") || name.ends_with("core") || !available(kTargets[0])
               ? "avx512"
               : "avx512_vnni";
  if (name.starts_with("avx2")) return "avx2";
  return name.empty() ? "" : "scalar";
}

}  // namespace

std::vector<std::string> simd_targets() {
  std::vector<std::string> names;
  for (const Target& target : kTargets) {
    if (available(target)) names.emplace_back(target.name);
  }
  return names;
}

std::string_view simd_target() {
  prepare_simd();
  for (const Target& target : kTargets) {
    if ((hwy::SupportedTargets() & target.bits) == target.bits) return target.name;
  }
  return "scalar";
}

bool simd_has_vnni() {
  prepare_simd();
  return (hwy::SupportedTargets() & kTargets[0].bits) == kTargets[0].bits;
}

void set_simd_target(std::string_view name) {
  prepare_simd();
  choose(name);
}

void prepare_simd() {
  static std::once_flag once;
  std::call_once(once, [] {
    const char* wanted = std::getenv("TREADLE_ISA");
    choose(wanted == nullptr ? "" : own_name(wanted));
  });
}

}  // namespace treadle::cpu

#include "backends/cpu/simd/simd.h"

#include <hwy/highway.h>

#include <cstdlib>
#include <mutex>

#include "graph/base/error.h"

namespace treadle::cpu {
namespace {

struct Target {
  const char* name;
  int64_t bit;
};
constexpr Target kTargets[] = {{"avx512", HWY_AVX3}, {"avx2", HWY_AVX2}, {"scalar", HWY_SCALAR}};

// Asked once: CPUID takes tens of microseconds in a virtual machine.
int64_t detected() {
  static const int64_t supported = hwy::SupportedTargets();
  return supported;
}

bool available(const Target& target) { return (detected() & HWY_TARGETS & target.bit) != 0; }

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
    if (name == target.name && available(target)) return use(target.bit);
  }
  fail(Code::kInvalidArgument, "the instruction set '", name,
       "' is not available; there are: ", joined(simd_targets()));
}

// TREADLE_ISA also takes oneDNN's names: "avx512_core_vnni", "sse41".
std::string_view own_name(std::string_view name) {
  if (name.starts_with("avx512")) return "avx512";
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
    if (hwy::SupportedTargets() & HWY_TARGETS & target.bit) return target.name;
  }
  return "scalar";
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

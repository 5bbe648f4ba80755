#include "backends/cpu/simd/amx.h"

#if defined(__x86_64__) && defined(__linux__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace treadle::cpu {

#if defined(__x86_64__) && defined(__linux__)
namespace {

constexpr unsigned kBf16 = 1U << 22, kTiles = 1U << 24, kInt8 = 1U << 25;

unsigned promises() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0) return 0;
  return d & (kBf16 | kTiles | kInt8);
}

// Palette 1: eight tiles of 16 rows of 64 bytes.
bool describes_tiles() {
  constexpr unsigned kLeaf = 0x1D, kTileBytes = 1024, kRowBytes = 64, kTileCount = 8, kRows = 16;
  if (__get_cpuid_max(0, nullptr) < kLeaf) return false;
  unsigned a = 0, b = 0, c = 0, d = 0;
  __cpuid_count(kLeaf, 0, a, b, c, d);
  if (a < 1) return false;
  __cpuid_count(kLeaf, 1, a, b, c, d);
  return a >> 16 == kTileBytes && b == (kTileCount << 16 | kRowBytes) && (c & 0xFFFF) == kRows;
}

// Fails where the system has no tiles, or a thread's signal stack no room for them.
bool request_state() {
  constexpr long kRequest = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM
  return syscall(SYS_arch_prctl, kRequest, kTileData) == 0;
}

}  // namespace

bool amx_without_tiles() { return promises() != 0 && !describes_tiles(); }

bool amx_available() {
  static const bool available = promises() == (kBf16 | kTiles | kInt8) &&
                                __builtin_cpu_supports("avx512bf16") && describes_tiles() &&
                                request_state();
  return available;
}
#else
bool amx_without_tiles() { return false; }
bool amx_available() { return false; }
#endif

}  // namespace treadle::cpu

// Which instruction set the native kernels use.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace treadle::cpu {

// "scalar", "avx2", "avx512", "avx512_vnni", "avx512_amx": what this build has and this machine
// runs, best first.
std::vector<std::string> simd_targets();
// The one in use: the best, unless the environment variable TREADLE_ISA or `set_simd_target` says
// otherwise.
std::string_view simd_target();
// Chooses one for the kernels compiled from now on ("" = the best); kInvalidArgument when it is not
// there.
void set_simd_target(std::string_view name);

enum class SimdTarget : uint8_t { kScalar, kAvx2, kAvx512, kAvx512Vnni, kAvx512Amx };
SimdTarget chosen_target();
// Whether bytes are permuted across vectors of 64 (VBMI).
bool permutes_bytes();

// That of the instruction set in use: each has a function F, made by hwy/foreach_target.h. The
// table of Highway would need its library, which measures timers for 6 ms when it is loaded.
#define TREADLE_DISPATCH(F) \
  ::treadle::cpu::dispatch(HWY_CHOOSE_FALLBACK(F), HWY_CHOOSE_AVX2(F), HWY_CHOOSE_AVX3(F))

// The same where AVX-512 is of use by its products of bytes (VNNI) only.
#define TREADLE_DISPATCH_BYTES(F)                                                              \
  (::treadle::cpu::chosen_target() == ::treadle::cpu::SimdTarget::kAvx512 ? HWY_CHOOSE_AVX2(F) \
                                                                          : TREADLE_DISPATCH(F))

template <class F>
F dispatch(F scalar, std::type_identity_t<F> avx2, std::type_identity_t<F> avx512) {
  switch (chosen_target()) {
    case SimdTarget::kAvx512Amx:
    case SimdTarget::kAvx512Vnni:
    case SimdTarget::kAvx512: return avx512;
    case SimdTarget::kAvx2: return avx2;
    case SimdTarget::kScalar: return scalar;
  }
  return scalar;
}

}  // namespace treadle::cpu

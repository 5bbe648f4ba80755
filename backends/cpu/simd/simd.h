// Which instruction set the native kernels use.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace treadle::cpu {

// "scalar", "avx2", "avx512", "avx512_vnni": what this build has and this machine runs, best first.
std::vector<std::string> simd_targets();
// The one in use: the best, unless the environment variable TREADLE_ISA or `set_simd_target` says
// otherwise.
std::string_view simd_target();
// Chooses one for the kernels compiled from now on ("" = the best); kInvalidArgument when it is not
// there.
void set_simd_target(std::string_view name);

// Whether the one in use sums products of four bytes (AVX-512 VNNI).
bool simd_has_vnni();

// Fixes the choice before the first dispatch; called by whoever fetches a function of some
// instruction set.
void prepare_simd();

}  // namespace treadle::cpu

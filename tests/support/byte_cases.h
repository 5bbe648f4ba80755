// Cases of products of bytes.
#pragma once

#include "backends/cpu/native/quantized_winograd.h"
#include "backends/cpu/simd/simd.h"
#include "tests/support/kernel_check.h"

namespace treadle::test {

inline Tensor bytes(DType dtype, Dims dims, uint64_t seed) {
  return dtype == DType::kInt8 ? random_tensor(dtype, std::move(dims), seed, -128, 127)
                               : random_tensor(dtype, std::move(dims), seed, 0, 255);
}
inline Tensor scales(int64_t count, uint64_t seed, double most) {
  return random_tensor(DType::kFloat, count == 1 ? Dims{} : Dims{count}, seed, most / 2, most);
}
inline Value zero(DType dtype, int64_t value) {
  return dtype == DType::kInt8 ? Value(Tensor::scalar(static_cast<int8_t>(value)))
                               : Value(Tensor::scalar(static_cast<uint8_t>(value)));
}

// With every instruction set that has vectors. Winograd's algorithm reads at least one of channels.
inline void check_by_each(const cpu::Family& family, const KernelCase& c) {
  for (const std::string& target : cpu::simd_targets()) {
    if (target == "scalar") continue;
    SCOPED_TRACE(target);
    cpu::set_simd_target(target);
    const bool few = &family == &cpu::kQuantizedWinograd && target.starts_with("avx512_") &&
                     c.inputs[0].tensor().dims()[1] < 32;
    if (!few) check_kernel(family, c);
  }
  cpu::set_simd_target("");
}

inline bool has_vectors() { return cpu::simd_targets().size() > 1; }

// To floats, where the sums show; and to bytes.
inline void check_product(const cpu::Family& family, KernelCase c, DType dtype, double y_scale) {
  c.domain = "treadle";
  c.constants = {1, 2, 3, 4, 5, 6, 7};
  check_by_each(family, c);
  c.inputs.resize(6);
  c.inputs.push_back(Tensor::scalar(static_cast<float>(y_scale)));
  c.inputs.push_back(zero(dtype, 5));
  c.rtol = 0, c.atol = 1;  // a tie that is rounded otherwise
  check_by_each(family, c);
}

}  // namespace treadle::test

// Counter-based random numbers (Philox 4x32-10, Salmon et al. 2011): the same for the same seed and
// index everywhere.
#pragma once

#include <array>
#include <cstdint>

namespace treadle {

// `stream` is the upper half of the counter: another sequence for each.
inline std::array<uint32_t, 4> philox(uint64_t seed, uint64_t counter, uint64_t stream = 0) {
  std::array<uint32_t, 4> x = {static_cast<uint32_t>(counter), static_cast<uint32_t>(counter >> 32),
                               static_cast<uint32_t>(stream), static_cast<uint32_t>(stream >> 32)};
  auto k0 = static_cast<uint32_t>(seed);
  auto k1 = static_cast<uint32_t>(seed >> 32);
  for (int round = 0; round < 10; ++round) {
    const uint64_t a = uint64_t{0xd2511f53} * x[0];
    const uint64_t b = uint64_t{0xcd9e8d57} * x[2];
    x = {static_cast<uint32_t>(b >> 32) ^ x[1] ^ k0, static_cast<uint32_t>(b),
         static_cast<uint32_t>(a >> 32) ^ x[3] ^ k1, static_cast<uint32_t>(a)};
    k0 += 0x9e3779b9;
    k1 += 0xbb67ae85;
  }
  return x;
}

// Uniform in [0, 1) with 53 bits.
inline double philox_uniform(uint64_t seed, uint64_t index) {
  const std::array<uint32_t, 4> x = philox(seed, index);
  return static_cast<double>((uint64_t{x[0]} << 21) ^ (x[1] >> 11)) * 0x1p-53;
}

}  // namespace treadle

// Floats of 16 bits to floats and back, bit for bit as Float16 and Bfloat16 do it.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <vector>

#include "backends/cpu/simd/halves.h"
#include "backends/cpu/simd/simd.h"

namespace treadle::test {
namespace {

// On each instruction set of the machine.
template <class F>
void on_all_targets(F&& check) {
  for (const std::string& target : cpu::simd_targets()) {
    SCOPED_TRACE(target);
    cpu::set_simd_target(target);
    check(cpu::half_functions());
  }
  cpu::set_simd_target("");
}

template <class T>
std::vector<T> all_patterns() {
  std::vector<T> all(1 << 16);
  for (size_t i = 0; i < all.size(); ++i) all[i].bits = static_cast<uint16_t>(i);
  return all;
}

template <class T>
void expect_widened(void (*widen)(const T*, float*, size_t)) {
  const std::vector<T> from = all_patterns<T>();
  std::vector<float> to(from.size());
  widen(from.data(), to.data(), from.size());
  for (size_t i = 0; i < from.size(); ++i) {
    const float want = from[i];
    const bool same = std::isnan(want)
                          ? std::isnan(to[i])
                          : std::bit_cast<uint32_t>(to[i]) == std::bit_cast<uint32_t>(want);
    ASSERT_TRUE(same) << i << ": " << to[i] << ", not " << want;
  }
}

// What lies between two neighbours, on them and halfway, in every binade; subnormal and too large.
std::vector<float> floats() {
  std::vector<float> all;
  for (uint32_t high = 0; high < 1 << 16; ++high) {
    for (const uint32_t low : {0x0000u, 0x0001u, 0x0fffu, 0x1000u, 0x1001u, 0x7fffu, 0x8000u,
                               0x8001u, 0xf000u, 0xffffu}) {
      all.push_back(std::bit_cast<float>(high << 16 | low));
    }
  }
  return all;
}

template <class T>
void expect_narrowed(void (*narrow)(const float*, T*, size_t)) {
  const std::vector<float> from = floats();
  std::vector<T> to(from.size());
  narrow(from.data(), to.data(), from.size());
  for (size_t i = 0; i < from.size(); ++i) ASSERT_EQ(to[i].bits, T(from[i]).bits) << from[i];
}

TEST(Halves, WidenEveryNumber) {
  on_all_targets([](const cpu::HalfFunctions& f) {
    expect_widened(f.widen_float16);
    expect_widened(f.widen_bfloat16);
  });
}

TEST(Halves, RoundToTheNearestEven) {
  on_all_targets([](const cpu::HalfFunctions& f) {
    expect_narrowed(f.narrow_float16);
    expect_narrowed(f.narrow_bfloat16);
  });
}

TEST(Halves, WriteNoMoreThanAsked) {
  on_all_targets([](const cpu::HalfFunctions& f) {
    for (size_t n = 0; n < 37; ++n) {
      const std::vector<float> x(n, 1.5F);
      std::vector<Float16> y(n + 1);
      f.narrow_float16(x.data(), y.data(), n);
      EXPECT_EQ(y[n].bits, 0);
      std::vector<float> z(n + 1);
      f.widen_float16(y.data(), z.data(), n);
      EXPECT_EQ(z[n], 0);
      for (size_t i = 0; i < n; ++i) EXPECT_EQ(z[i], 1.5F);
    }
  });
}

}  // namespace
}  // namespace treadle::test

#include "backends/cpu/native/quantize.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/support/byte_cases.h"

namespace treadle::test {
namespace {

TEST(DynamicQuantize, NumbersThatAreNot) {
  const float inf = std::numeric_limits<float>::infinity(), nan = std::nanf("");
  for (const float odd : {inf, -inf, nan, 1e38f, 1e-40f}) {
    for (const size_t at : {0, 77, 99}) {
      std::vector<float> x(100, odd == 1e-40f ? 0.0f : 0.3f);
      x[at] = odd;
      check_kernel(cpu::kNativeDynamicQuantize, {.name = cat(odd, " at ", at),
                                                 .op = "DynamicQuantizeLinear",
                                                 .inputs = {f32({100}, x)},
                                                 .constants = {},
                                                 .rtol = 0,
                                                 .atol = 0,
                                                 .outputs = 3});
    }
  }
}

// Quotients are the division's, rounded where they are halves or next to them.
TEST(DynamicQuantize, Halves) {
  for (const std::string& target : cpu::simd_targets()) {
    cpu::set_simd_target(target);
    for (int step = 0; step < 20; ++step) {
      std::vector<float> x = {-3.0f, 7.0f + 0.37f * static_cast<float>(step)};
      const float scale = (x[1] - x[0]) / 255.0f;
      for (float level = 0.5f; level * scale < x[1] - scale; level += 1) {
        float half = level * scale;
        for (int i = 0; i < 3; ++i) half = std::nextafter(half, 0.0f);
        for (int i = 0; i < 7; ++i, half = std::nextafter(half, 1e3f)) x.push_back(half);
      }
      check_kernel(cpu::kNativeDynamicQuantize,
                   {.name = cat(target, " ", step),
                    .op = "DynamicQuantizeLinear",
                    .inputs = {f32({static_cast<int64_t>(x.size())}, x)},
                    .constants = {},
                    .rtol = 0,
                    .atol = 0,
                    .outputs = 3});
    }
  }
  cpu::set_simd_target("");
}

TEST(DynamicQuantize, RangesAndTails) {
  for (const auto& [low, high] : {std::pair{-1.0, 2.0}, {0.5, 2.0}, {-3.0, -1.0}, {0.0, 0.0}}) {
    for (const int64_t count : {1, 15, 512, 5000}) {
      KernelCase c;
      c.name = cat(low, " ", high, " ", count);
      c.op = "DynamicQuantizeLinear";
      c.inputs = {random_tensor(DType::kFloat, {count}, 3, low, high)};
      c.constants = {};
      c.outputs = 3;
      check_kernel(cpu::kNativeDynamicQuantize, c);
    }
  }
}

}  // namespace
}  // namespace treadle::test

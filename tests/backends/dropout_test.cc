// The native mask of dropout: the reference's, bit for bit.
#include <cstring>

#include "backends/cpu/native/dropout.h"
#include "backends/cpu/simd/simd.h"
#include "tests/support/kernel_check.h"

namespace treadle::test {
namespace {

KernelCase mask(int64_t count, int64_t draw, Value ratio) {
  return {.name = cat(count, " of draw ", draw),
          .op = "DropoutMask",
          .attributes = {{"key", int64_t{-0x123456789abcdef}}},
          .inputs = {i64({}, {draw}), i64({1}, {count}), std::move(ratio)},
          .domain = "treadle"};
}

TEST(DropoutMask, IsTheReferences) {
  for (const std::string& isa : cpu::simd_targets()) {
    cpu::set_simd_target(isa);
    for (const int64_t count : {1, 3, 64, 257, 100'003}) {
      for (const int64_t draw : {int64_t{0}, int64_t{7}, int64_t{-1}, int64_t{1} << 40}) {
        for (const int threads : {1, 2}) {
          const CompiledCase made(cpu::kNativeDropoutMask, mask(count, draw, f32({}, {0.3f})),
                                  threads);
          const Tensor got = made.run()[0];
          const Tensor want = made.reference()[0].tensor();
          ASSERT_EQ(got.bytes(), want.bytes());
          EXPECT_EQ(std::memcmp(got.raw(), want.raw(), got.bytes()), 0)
              << isa << " " << count << " " << draw;
        }
      }
    }
  }
  cpu::set_simd_target("");
}

TEST(DropoutMask, TakesRatios) {
  check_kernel(cpu::kNativeDropoutMask, mask(1000, 3, Value{}));
  check_kernel(cpu::kNativeDropoutMask, mask(1000, 3, f32({}, {0})));
  KernelCase c = mask(1000, 3, f32({}, {0.5f}));
  c.constants = {1};
  EXPECT_EQ(reason(cpu::kNativeDropoutMask, c), "ratio of the run");
}

}  // namespace
}  // namespace treadle::test

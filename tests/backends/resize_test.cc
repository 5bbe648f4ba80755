#include "backends/cpu/native/resize.h"

#include "backends/cpu/simd/simd.h"
#include "tests/support/kernel_check.h"

namespace treadle::test {
namespace {

using cpu::kBlocked16;
using cpu::kChannelsLast;

KernelCase resize(const char* mode, Dims x, std::vector<int64_t> sizes, Layout layout = kPlain) {
  const auto rank = static_cast<int64_t>(sizes.size());
  return {.name = cat(mode, shape_text(x), shape_text(sizes), " layout ", layout),
          .op = "Resize",
          .attributes = {{"mode", std::string(mode)}},
          .inputs = {random_tensor(DType::kFloat, std::move(x), 1), Value(), Value(),
                     i64({rank}, sizes)},
          .constants = {3},
          .layouts = {layout}};
}

void check_on_all_targets(const KernelCase& c) {
  for (const std::string& target : cpu::simd_targets()) {
    SCOPED_TRACE(target);
    cpu::set_simd_target(target);
    check_kernel(cpu::kNativeResize, c);
  }
  cpu::set_simd_target("");
}

TEST(NativeResize, ModesAndLayouts) {
  for (const char* mode : {"nearest", "linear", "cubic"}) {
    for (const Layout layout : {kPlain, kChannelsLast, kBlocked16}) {
      check_on_all_targets(resize(mode, {2, 17, 5, 7}, {2, 17, 10, 14}, layout));
      check_on_all_targets(resize(mode, {1, 3, 5, 7}, {1, 3, 13, 40}, layout));
      check_on_all_targets(resize(mode, {1, 20, 9, 33}, {1, 20, 4, 40}, layout));
      check_on_all_targets(resize(mode, {1, 20, 9, 33}, {1, 20, 9, 33}, layout));
    }
  }
}

TEST(NativeResize, OtherRanksAndAxes) {
  check_on_all_targets(resize("linear", {40}, {90}));
  check_on_all_targets(resize("linear", {3, 8, 20}, {3, 8, 7}, kChannelsLast));
  check_on_all_targets(resize("nearest", {1, 16, 3, 4, 5}, {1, 16, 6, 8, 7}, kChannelsLast));
  check_on_all_targets(resize("linear", {1, 8, 3, 4, 5}, {1, 8, 5, 3, 9}, kBlocked16));
  check_on_all_targets(resize("linear", {2, 16, 6, 6}, {3, 20, 7, 6}, kChannelsLast));
}

TEST(NativeResize, ManyTapsOfAnAverage) {
  KernelCase c = resize("cubic", {1, 16, 40, 60}, {1, 16, 9, 11}, kChannelsLast);
  c.attributes.set("antialias", int64_t{1});
  check_on_all_targets(c);
}

TEST(NativeResize, DeclinesWhatTheReferenceDoes) {
  KernelCase c = resize("linear", {1, 1, 4, 4}, {1, 1, 8, 8});
  c.constants = {};
  EXPECT_EQ(reason(cpu::kNativeResize, c), "sizes of the run");
  c.constants = {3};
  c.inputs[0] = random_tensor(DType::kDouble, {1, 1, 4, 4}, 1);
  EXPECT_EQ(reason(cpu::kNativeResize, c), "not float");
}

}  // namespace
}  // namespace treadle::test

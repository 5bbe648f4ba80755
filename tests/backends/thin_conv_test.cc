// Convolutions of few channels against the reference.
#include "backends/cpu/native/thin_conv.h"

#include "backends/cpu/simd/simd.h"
#include "tests/support/kernel_check.h"

namespace treadle::test {
namespace {

using cpu::kThinConv;
using Ints = std::vector<int64_t>;

Value rnd(Dims dims, uint64_t seed) {
  return random_tensor(DType::kFloat, std::move(dims), seed, -2, 2);
}

KernelCase conv(const Dims& x, const Dims& w, const Ints& strides, const Ints& pads,
                const std::string& activation = "") {
  return {.name = cat(shape_text(x), " by ", shape_text(w), " ", activation),
          .op = "FusedConv",
          .attributes = {{"strides", strides},
                         {"pads", pads},
                         {"activation", activation},
                         {"activation_alpha", activation == "Clip" ? 0.0F : 1.0F},
                         {"activation_beta", 6.0F}},
          .inputs = {rnd(x, 1), rnd(w, 2), rnd({w[0]}, 3)},
          .domain = "treadle"};
}

TEST(ThinConv, Shapes) {
  for (const std::string& target : cpu::simd_targets()) {
    SCOPED_TRACE(target);
    cpu::set_simd_target(target);
    for (const int64_t channels : {1, 2, 3, 4}) {
      for (const auto& [down, across] :
           {std::pair<int64_t, int64_t>{1, 1}, {3, 3}, {2, 5}, {5, 4}, {7, 7}}) {
        for (const int64_t stride : {1, 2, 3}) {
          for (const auto& [height, width] :
               {std::pair<int64_t, int64_t>{7, 7}, {9, 30}, {20, 8}}) {
            check_kernel(kThinConv, conv({2, channels, height, width}, {40, channels, down, across},
                                         {stride, stride}, {down / 2, across / 2, 1, 1}));
          }
        }
      }
    }
  }
  cpu::set_simd_target("");
}

TEST(ThinConv, PadsAroundAllOfTheInput) {
  for (const Ints& pads :
       {Ints{0, 0, 0, 0}, Ints{3, 7, 4, 8}, Ints{0, 9, 0, 0}, Ints{2, 0, 0, 6}}) {
    check_kernel(kThinConv, conv({1, 3, 2, 1}, {16, 3, 2, 1}, {1, 1}, pads));
    check_kernel(kThinConv, conv({1, 3, 5, 6}, {16, 3, 3, 3}, {2, 2}, pads));
  }
}

TEST(ThinConv, Activations) {
  for (const char* activation : {"Relu", "Clip", "Swish", "HardSwish", "Gelu"})
    check_kernel(kThinConv, conv({1, 3, 9, 20}, {50, 3, 3, 3}, {2, 1}, {1, 1, 1, 1}, activation));
}

TEST(ThinConv, LinesFarFromEachOther) {
  KernelCase c = conv({1, 3, 12, 20}, {50, 3, 3, 3}, {1, 1}, {3, 1, 3, 1});
  c.attributes.set("dilations", Ints{3, 1});
  check_kernel(kThinConv, c);
}

TEST(ThinConv, Reasons) {
  KernelCase c = conv({1, 3, 12, 20}, {50, 3, 3, 3}, {1, 1}, {0, 0, 0, 0});
  EXPECT_TRUE(pays(kThinConv, c));
  c.attributes.set("dilations", Ints{1, 2});
  EXPECT_EQ(reason(kThinConv, c), "dilations");
  EXPECT_EQ(reason(kThinConv, conv({1, 5, 12, 20}, {50, 5, 3, 3}, {1, 1}, {0, 0, 0, 0})),
            "many channels");
  EXPECT_EQ(reason(kThinConv, conv({1, 3, 40, 20}, {50, 3, 17, 3}, {1, 1}, {0, 0, 0, 0})),
            "large windows");
  EXPECT_FALSE(pays(kThinConv, conv({1, 3, 12, 20}, {32, 3, 3, 3}, {1, 1}, {0, 0, 0, 0})));
}

}  // namespace
}  // namespace treadle::test

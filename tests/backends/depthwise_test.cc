// The native depthwise convolution against the reference.
#include "backends/cpu/native/depthwise.h"

#include "backends/cpu/native/depthwise_planes.h"
#include "backends/cpu/simd/depthwise.h"
#include "backends/cpu/simd/simd.h"
#include "tests/support/kernel_check.h"

namespace treadle::test {
namespace {

Value rnd(Dims dims, uint64_t seed) {
  return random_tensor(DType::kFloat, std::move(dims), seed, -3, 3);
}

struct Shape2d {
  int64_t batch, channels, height, width, kernel, stride;
};

KernelCase depthwise(const Shape2d& s, const std::string& activation = "") {
  const int64_t pad = s.kernel / 2;
  return {.name = cat("c", s.channels, " ", s.height, "x", s.width, " k", s.kernel, "s", s.stride,
                      activation),
          .op = "FusedConv",
          .attributes = {{"group", s.channels},
                         {"strides", std::vector<int64_t>{s.stride, s.stride}},
                         {"pads", std::vector<int64_t>{pad, pad, pad, pad}},
                         {"activation", activation},
                         {"activation_alpha", activation == "Clip" ? 0.0f : 1.0f},
                         {"activation_beta", 6.0f}},
          .inputs = {rnd({s.batch, s.channels, s.height, s.width}, 1),
                     rnd({s.channels, 1, s.kernel, s.kernel}, 2), rnd({s.channels}, 3)},
          .domain = "treadle"};
}

TEST(Depthwise, Shapes) {
  for (const int64_t kernel : {3, 5, 7}) {
    for (const int64_t stride : {1, 2}) {
      if (kernel == 7 && stride == 2) continue;
      for (const int64_t channels : {16, 33}) {
        for (const int64_t width : {1, 2, 7, 8, 14, 19, 29}) {
          check_kernel(cpu::kDepthwise, depthwise({2, channels, 9, width, kernel, stride}));
        }
      }
    }
  }
}

TEST(Depthwise, Activations) {
  for (const char* activation : {"Relu", "Clip", "HardSwish", "Swish"}) {
    check_kernel(cpu::kDepthwise, depthwise({1, 24, 10, 10, 3, 1}, activation));
  }
}

// With every instruction set whose vectors hold several groups of so many channels.
TEST(Grouped, Shapes) {
  for (const std::string& target : cpu::simd_targets()) {
    SCOPED_TRACE(target);
    cpu::set_simd_target(target);
    const auto lanes = static_cast<int64_t>(cpu::depthwise_lanes());
    for (const int64_t depth : {2, 4, 8}) {
      const int64_t least = std::max<int64_t>(2, lanes / depth);
      for (const int64_t groups : {least, least + 1, 3 * least - 1}) {
        for (const int64_t stride : {1, 2}) {
          for (const int64_t width : {1, 2, 7, 12, 29}) {
            KernelCase c = depthwise({2, depth * groups, 9, width, 3, stride}, "Relu");
            c.name = cat(depth, " ", c.name);
            c.attributes.set("group", groups);
            c.inputs[1] = rnd({depth * groups, depth, 3, 3}, 2);
            if (depth < lanes) {
              check_kernel(cpu::kGrouped, c);
            } else {
              EXPECT_FALSE(reason(cpu::kGrouped, c).empty());
            }
          }
        }
      }
    }
  }
  cpu::set_simd_target("");
}

TEST(Grouped, Reasons) {
  KernelCase c = depthwise({1, 64, 9, 9, 3, 1});
  c.attributes.set("group", int64_t{2});
  c.inputs[1] = rnd({64, 32, 3, 3}, 2);
  EXPECT_EQ(reason(cpu::kGrouped, c), "kernel size, stride or size of a group");
  c.attributes.set("group", int64_t{16});
  c.inputs[1] = rnd({32, 4, 3, 3}, 2);
  c.inputs[2] = rnd({32}, 3);
  EXPECT_EQ(reason(cpu::kGrouped, c), "not depthwise");
}

void check_planes(const KernelCase& c) {
  for (const std::string& target : cpu::simd_targets()) {
    SCOPED_TRACE(target);
    cpu::set_simd_target(target);
    check_kernel(cpu::kDepthwisePlanes, c);
  }
  cpu::set_simd_target("");
}

TEST(DepthwisePlanes, PayForFewOutputsOfAChannel) {
  for (const int64_t outputs : {1, 4, 16}) {
    const KernelCase c{.name = cat(outputs),
                       .op = "Conv",
                       .inputs = {rnd({1, 1, 49}, 1), rnd({outputs, 1, 8}, 2)}};
    EXPECT_EQ(pays(cpu::kDepthwisePlanes, c), outputs < 8);
  }
}

TEST(DepthwisePlanes, OfOneDimension) {
  for (const int64_t width : {1, 5, 16, 131, 400}) {
    for (const int64_t kernel : {1, 4, 31}) {
      for (const int64_t dilation : {1, 2}) {
        const int64_t pad = (kernel - 1) * dilation;
        for (const int64_t count : {1, 3}) {
          KernelCase c{.name = cat(width, " ", kernel, " ", dilation, " ", count),
                       .op = "FusedConv",
                       .attributes = {{"group", int64_t{5}},
                                      {"pads", std::vector<int64_t>{pad, 1}},
                                      {"dilations", std::vector<int64_t>{dilation}},
                                      {"activation", "Swish"},
                                      {"activation_alpha", 1.0f}},
                       .inputs = {rnd({2, 5, width}, 1), rnd({5 * count, 1, kernel}, 2),
                                  rnd({5 * count}, 3)},
                       .domain = "treadle"};
          check_planes(c);
        }
      }
    }
  }
}

TEST(DepthwisePlanes, SeveralChannelsOfEach) {
  for (const int64_t width : {1, 14, 129}) {
    KernelCase c{.name = cat(width),
                 .op = "Conv",
                 .attributes = {{"group", int64_t{3}}, {"pads", std::vector<int64_t>{1, 2, 0, 3}}},
                 .inputs = {rnd({2, 3, 9, width}, 1), rnd({6, 1, 3, 5}, 2)}};
    check_planes(c);
  }
  KernelCase c{.name = "one",
               .op = "Conv",
               .attributes = {{"group", int64_t{3}}},
               .inputs = {rnd({2, 3, 9, 9}, 1), rnd({3, 1, 3, 3}, 2)}};
  EXPECT_EQ(reason(cpu::kDepthwisePlanes, c), "a channel of each");
}

TEST(Depthwise, Pads) {
  KernelCase c = depthwise({3, 17, 11, 12, 3, 2});
  c.attributes.set("pads", std::vector<int64_t>{0, 2, 3, 1});
  check_kernel(cpu::kDepthwise, c);
  c.inputs.pop_back();
  check_kernel(cpu::kDepthwise, c);
}

TEST(Depthwise, Reasons) {
  EXPECT_EQ(reason(cpu::kDepthwise, depthwise({1, 16, 9, 9, 3, 3})),
            "kernel size, stride or size of a group");
  if (cpu::depthwise_lanes() > 2) {
    EXPECT_EQ(reason(cpu::kDepthwise, depthwise({1, 2, 9, 9, 3, 1})), "few channels");
  }
  EXPECT_EQ(reason(cpu::kDepthwise, depthwise({1, 16, 9, 9, 3, 1}, "Tanh")), "activation");
}

}  // namespace
}  // namespace treadle::test

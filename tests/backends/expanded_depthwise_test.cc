// Convolutions of pixels with the depthwise ones that read them, against the reference.
#include "backends/cpu/native/expanded_depthwise.h"

#include "backends/cpu/simd/simd.h"
#include "tests/support/kernel_check.h"

namespace treadle::test {
namespace {

using cpu::kExpandedDepthwise;
using Ints = std::vector<int64_t>;

Value rnd(Dims dims, uint64_t seed) {
  return random_tensor(DType::kFloat, std::move(dims), seed, -2, 2);
}

struct Shape2d {
  int64_t inputs, channels, height, width, kernel, stride;
};

KernelCase expanded(const Shape2d& s, const std::string& expand = "",
                    const std::string& then = "") {
  const int64_t pad = s.kernel / 2;
  return {.name = cat(s.inputs, " to ", s.channels, ", ", s.height, "x", s.width, " k", s.kernel,
                      "s", s.stride, " ", expand, " ", then),
          .op = "ExpandedDepthwise",
          .attributes = {{"group", s.channels},
                         {"strides", Ints{s.stride, s.stride}},
                         {"pads", Ints{pad, pad, pad, pad}},
                         {"expand_activation", expand},
                         {"expand_activation_alpha", expand == "Clip" ? -1.0F : 1.0F},
                         {"expand_activation_beta", 2.0F},
                         {"activation", then},
                         {"activation_alpha", then == "Clip" ? 0.0F : 1.0F},
                         {"activation_beta", 6.0F}},
          .inputs = {rnd({2, s.inputs, s.height, s.width}, 1), rnd({s.channels, s.inputs, 1, 1}, 2),
                     rnd({s.channels}, 3), rnd({s.channels, 1, s.kernel, s.kernel}, 4),
                     rnd({s.channels}, 5)},
          .constants = {1, 2, 3, 4},
          .domain = "treadle"};
}

TEST(ExpandedDepthwise, Shapes) {
  for (const std::string& target : cpu::simd_targets()) {
    SCOPED_TRACE(target);
    cpu::set_simd_target(target);
    for (const int64_t kernel : {3, 5}) {
      for (const int64_t stride : {1, 2}) {
        for (const auto& [inputs, channels] : {std::pair<int64_t, int64_t>{3, 16}, {24, 100}}) {
          for (const auto& [height, width] :
               {std::pair<int64_t, int64_t>{1, 1}, {2, 9}, {9, 2}, {30, 17}}) {
            check_kernel(kExpandedDepthwise,
                         expanded({inputs, channels, height, width, kernel, stride}));
          }
        }
      }
    }
  }
  cpu::set_simd_target("");
}

TEST(ExpandedDepthwise, Activations) {
  for (const char* expand : {"Relu", "Clip", "Swish", "Sigmoid", "HardSwish"}) {
    for (const char* then : {"", "Clip", "Swish"})
      check_kernel(kExpandedDepthwise, expanded({5, 20, 12, 11, 3, 1}, expand, then));
  }
}

// What lies around the image is zero, not what the first convolution makes of zeros.
TEST(ExpandedDepthwise, PadsOfDifferentSizes) {
  for (const Ints& pads : {Ints{0, 0, 0, 0}, Ints{1, 0, 2, 3}, Ints{2, 2, 0, 1}}) {
    KernelCase c = expanded({4, 32, 13, 10, 5, 2}, "Sigmoid");
    c.attributes.set("pads", pads);
    check_kernel(kExpandedDepthwise, c);
  }
  for (const int64_t height : {1, 2}) {  // groups of rows that read nothing else
    KernelCase c = expanded({4, 32, height, 10, 3, 1}, "Sigmoid");
    c.attributes.set("pads", Ints{7, 1, 8, 1});
    check_kernel(kExpandedDepthwise, c);
  }
}

TEST(ExpandedDepthwise, WithoutBiases) {
  KernelCase c = expanded({4, 32, 13, 10, 3, 1}, "Relu");
  c.inputs[2] = c.inputs[4] = Value{};
  check_kernel(kExpandedDepthwise, c);
}

TEST(ExpandedDepthwise, Reasons) {
  KernelCase c = expanded({4, 32, 13, 10, 3, 1});
  c.constants = {1, 2, 4};
  EXPECT_EQ(reason(kExpandedDepthwise, c), "weights of the run");
  c = expanded({4, 32, 13, 10, 3, 1}, "", "Tanh");
  EXPECT_EQ(reason(kExpandedDepthwise, c), "activation");
  c = expanded({4, 32, 13, 10, 3, 1});
  c.inputs[1] = rnd({32, 4, 3, 3}, 2);
  EXPECT_EQ(reason(kExpandedDepthwise, c), "an expansion that is not of pixels");
  c.inputs[1] = rnd({32, 4, 1, 1}, 2);
  c.attributes.set("dilations", Ints{2, 2});
  EXPECT_EQ(reason(kExpandedDepthwise, c), "dilations");
}

}  // namespace
}  // namespace treadle::test

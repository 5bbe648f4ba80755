// Winograd's convolution against the reference, which sums in double.
#include "backends/cpu/native/winograd.h"

#include <algorithm>
#include <cmath>

#include "tests/support/kernel_check.h"

namespace treadle::test {
namespace {

Value rnd(Dims dims, uint64_t seed) {
  return random_tensor(DType::kFloat, std::move(dims), seed, -1, 1);
}

struct Shape2d {
  int64_t batch, channels, outputs, height, width;
};

KernelCase conv(const Shape2d& s, const std::string& activation = "") {
  return {.name = cat(s.channels, " to ", s.outputs, " ", s.batch, "x", s.height, "x", s.width, " ",
                      activation),
          .op = "FusedConv",
          .attributes = {{"pads", std::vector<int64_t>{1, 1, 1, 1}},
                         {"activation", activation},
                         {"activation_alpha", activation == "Clip" ? 0.0f : 1.0f},
                         {"activation_beta", 6.0f}},
          .inputs = {rnd({s.batch, s.channels, s.height, s.width}, 1),
                     rnd({s.outputs, s.channels, 3, 3}, 2), rnd({s.outputs}, 3)},
          .domain = "treadle"};
}

TEST(Winograd, Shapes) {
  for (const int64_t size : {12, 13, 14, 18, 31}) {
    check_kernel(cpu::kWinograd, conv({1, 32, 32, size, 2 * size - 5}));
    check_kernel(cpu::kWinograd, conv({3, 27, 64, size - 3, size}));
  }
  check_kernel(cpu::kWinograd, conv({1, 96, 128, 14, 14}));
}

// Of half a panel, and of parts of vectors.
TEST(Winograd, OutputsOfAnyNumber) {
  for (const int64_t outputs : {1, 8, 16, 17, 24, 48, 80, 100, 131}) {
    for (const int64_t size : {13, 20}) {
      KernelCase c = conv({2, 19, outputs, size, 15}, "Relu");
      c.inputs.push_back(rnd({2, outputs, size, 15}, 4));
      check_kernel(cpu::kWinograd, c);
      c.constants = {2};
      check_kernel(cpu::kWinograd, c);
    }
  }
}

TEST(Winograd, Groups) {
  for (const auto& [group, ins, outs] :
       {std::tuple{2, 16, 16}, {3, 24, 40}, {5, 16, 7}, {2, 64, 33}}) {
    for (const int64_t size : {13, 24}) {
      KernelCase c = conv({2, group * ins, group * outs, size, 15}, "Relu");
      c.attributes.set("group", int64_t{group});
      c.inputs[1] = rnd({group * outs, ins, 3, 3}, 2);
      check_kernel(cpu::kWinograd, c);
      c.constants = {2};
      check_kernel(cpu::kWinograd, c);
    }
  }
}

// Also where some phases of a dilation have fewer tiles than others, or none.
TEST(Winograd, Dilations) {
  for (const auto& dilations :
       {std::vector<int64_t>{2, 2}, {3, 1}, {1, 4}, {5, 3}, {12, 20}, {1 << 30, INT32_MAX}}) {
    for (const int64_t size : {11, 13, 24}) {
      for (const char* activation : {"Relu", "Swish"}) {
        KernelCase c = conv({2, 17, 20, size, 15}, activation);
        c.name += shape_text(dilations);
        c.attributes.set("dilations", dilations);
        c.attributes.set(
            "pads", std::vector<int64_t>{dilations[0], dilations[1], dilations[0], dilations[1]});
        c.inputs.push_back(rnd({2, 20, size, 15}, 4));
        check_kernel(cpu::kWinograd, c);
      }
    }
  }
}

// Of one dimension, and of one tap in the other: pads, dilations, groups and parts of vectors.
TEST(Winograd, Lines) {
  for (const Dims& kernel : {Dims{3}, Dims{1, 3}, Dims{3, 1}}) {
    for (const int64_t size : {1, 6, 31, 70}) {
      for (const auto& [dilation, group] : {std::pair{1, 1}, {3, 1}, {1, 2}, {2, 2}}) {
        const int64_t outputs = 20 * group;
        Dims x{2, 17 * group}, w{outputs, 17}, y{2, outputs};
        std::vector<int64_t> pads(2 * kernel.size(), 0), dilations(kernel.size(), 1);
        for (size_t i = 0; i < kernel.size(); ++i) {
          const bool along = kernel[i] == 3;
          x.push_back(along ? size : 5), w.push_back(kernel[i]), y.push_back(x.back());
          if (along) dilations[i] = pads[i] = pads[i + kernel.size()] = dilation;
        }
        KernelCase c = conv({1, 1, 1, 1, 1}, size == 6 ? "Swish" : "Relu");
        c.name = cat(shape_text(kernel), " ", size, " ", dilation, " ", group);
        c.attributes.set("pads", pads);
        c.attributes.set("dilations", dilations);
        c.attributes.set("group", int64_t{group});
        c.inputs = {rnd(x, 1), rnd(w, 2), rnd({outputs}, 3), rnd(y, 4)};
        check_kernel(cpu::kWinograd, c);
        c.constants = {2};
        check_kernel(cpu::kWinograd, c);
      }
    }
  }
}

TEST(Winograd, TilesOfBothSizes) {
  const auto name = [](const Shape2d& s) {
    return CompiledCase(cpu::kWinograd, conv(s), 1).compiled().name;
  };
  EXPECT_EQ(name({1, 64, 64, 40, 40}), "native winograd 4x4");
  EXPECT_EQ(name({1, 64, 64, 14, 14}), "native winograd 2x2");
}

TEST(Winograd, Activations) {
  for (const char* activation : {"Relu", "Clip", "HardSwish", "Swish", "Tanh", "LeakyRelu"})
    check_kernel(cpu::kWinograd, conv({1, 32, 32, 17, 18}, activation));
}

TEST(Winograd, Residuals) {
  for (const char* activation : {"", "Relu", "Swish"}) {
    KernelCase c = conv({2, 32, 64, 17, 18}, activation);
    c.inputs.push_back(rnd({2, 64, 17, 18}, 4));
    check_kernel(cpu::kWinograd, c);
    c.inputs[2] = Value{};
    check_kernel(cpu::kWinograd, c);
  }
}

TEST(Winograd, Pads) {
  for (const auto& pads : {std::vector<int64_t>{0, 0, 0, 0}, {2, 0, 1, 3}, {5, 6, 7, 8}}) {
    KernelCase c = conv({2, 32, 32, 15, 16});
    c.attributes.set("pads", pads);
    check_kernel(cpu::kWinograd, c);
  }
}

TEST(Winograd, WeightsOfTheRun) {
  for (const int64_t size : {13, 14, 20, 40}) {
    KernelCase c = conv({2, 16, 64, size, size + 1}, "Relu");
    c.constants = {2};
    check_kernel(cpu::kWinograd, c);
  }
}

TEST(Winograd, GradientsForTheInput) {
  for (const auto& pads : {std::vector<int64_t>{1, 1, 1, 1}, {0, 0, 0, 0}, {2, 0, 1, 2}}) {
    for (const int64_t size : {14, 21, 40}) {
      const int64_t height = size + pads[0] + pads[2] - 2;
      const int64_t width = size + pads[1] + pads[3] - 2;
      const KernelCase c{.name = cat("size ", size, " pads ", pads[0]),
                         .op = "ConvGradInput",
                         .attributes = {{"pads", pads}},
                         .inputs = {rnd({2, 16, height, width}, 1), rnd({16, 32, 3, 3}, 2),
                                    axes({2, 32, size, size})},
                         .constants = {2},
                         .domain = "treadle"};
      check_kernel(cpu::kWinogradGradInput, c);
    }
  }
}

KernelCase for_weights(const Dims& y, const Dims& x, const std::vector<int64_t>& pads) {
  return {.name = cat(shape_text(x), " to ", shape_text(y), " pads ", pads[0]),
          .op = "ConvGradWeights",
          .attributes = {{"pads", pads}},
          .inputs = {rnd(y, 1), rnd(x, 2), axes({y[1], x[1], 3, 3})},
          .constants = {2},
          .domain = "treadle",
          .atol = 1e-4 * std::sqrt(static_cast<double>(y[0] * y[2] * y[3]))};
}

TEST(Winograd, GradientsForTheWeights) {
  for (const auto& pads : {std::vector<int64_t>{1, 1, 1, 1}, {0, 0, 0, 0}, {2, 0, 1, 2}}) {
    for (const int64_t size : {14, 21, 33}) {
      const int64_t height = size + pads[0] + pads[2] - 2;
      const int64_t width = size + pads[1] + pads[3] - 2;
      check_kernel(cpu::kWinogradGradWeights,
                   for_weights({5, 32, height, width}, {5, 27, size, size}, pads));
    }
  }
}

// More tiles than a block holds, and more channels than sums are at hand for.
TEST(Winograd, GradientsForManyWeights) {
  const std::vector<int64_t> pads{1, 1, 1, 1};
  check_kernel(cpu::kWinogradGradWeights, for_weights({1, 32, 70, 70}, {1, 64, 70, 70}, pads));
  check_kernel(cpu::kWinogradGradWeights, for_weights({20, 128, 4, 4}, {20, 512, 4, 4}, pads));
  check_kernel(cpu::kWinogradGradWeights, for_weights({3, 96, 24, 24}, {3, 260, 24, 24}, pads));
}

// As winograd.h promises: F(4x4) is within 5e-5, F(2x2) within 5e-6 of the largest result.
void expect_within(const CompiledCase& made, double bound) {
  const std::vector<double> got = made.run()[0].to_doubles();
  const std::vector<double> want = made.reference()[0].tensor().to_doubles();
  double largest = 0, error = 0;
  for (size_t i = 0; i < want.size(); ++i) {
    largest = std::max(largest, std::abs(want[i]));
    error = std::max(error, std::abs(got[i] - want[i]));
  }
  EXPECT_LT(error, bound * largest) << made.compiled().name << " " << error / largest;
  testing::Test::RecordProperty(made.compiled().name, std::to_string(error / largest));
}

TEST(Winograd, Errors) {
  for (const auto& [size, bound] : {std::pair{40, 5e-5}, {14, 5e-6}}) {
    KernelCase c = conv({1, 256, 64, size, size});
    expect_within(CompiledCase(cpu::kWinograd, c, 1), bound);
    c.constants = {2};
    expect_within(CompiledCase(cpu::kWinograd, c, 1), bound);
  }
}

TEST(Winograd, ErrorsOfGradientsForTheInput) {
  for (const auto& [size, bound] : {std::pair{40, 5e-5}, {14, 5e-6}}) {
    const KernelCase c{.name = cat("size ", size),
                       .op = "ConvGradInput",
                       .attributes = {{"pads", std::vector<int64_t>{1, 1, 1, 1}}},
                       .inputs = {rnd({1, 256, size, size}, 1), rnd({256, 64, 3, 3}, 2),
                                  axes({1, 64, size, size})},
                       .constants = {2},
                       .domain = "treadle"};
    expect_within(CompiledCase(cpu::kWinogradGradInput, c, 1), bound);
  }
}

TEST(Winograd, ErrorsOfGradientsForTheWeights) {
  for (const auto& [size, bound] : {std::pair{40, 5e-5}, {9, 5e-6}}) {
    const KernelCase c = for_weights({8, 64, size, size}, {8, 64, size, size}, {1, 1, 1, 1});
    expect_within(CompiledCase(cpu::kWinogradGradWeights, c, 1), bound);
  }
}

TEST(Winograd, Reasons) {
  KernelCase c = conv({1, 64, 64, 20, 20});
  c.attributes.set("strides", std::vector<int64_t>{2, 2});
  EXPECT_EQ(reason(cpu::kWinograd, c), "not three taps a dimension with stride 1");
}

TEST(Winograd, PaysForManyChannelsAndPixels) {
  KernelCase line = conv({1, 1, 1, 1, 1});
  line.attributes = {};
  line.inputs = {rnd({1, 64, 200}, 1), rnd({64, 64, 3}, 2)};
  EXPECT_TRUE(pays(cpu::kWinograd, line));
  line.inputs[0] = rnd({1, 64, 12}, 1);
  EXPECT_FALSE(pays(cpu::kWinograd, line));
  EXPECT_TRUE(pays(cpu::kWinograd, conv({1, 64, 64, 20, 20})));
  EXPECT_FALSE(pays(cpu::kWinograd, conv({1, 8, 64, 20, 20})));
  EXPECT_FALSE(pays(cpu::kWinograd, conv({1, 64, 64, 4, 4})));
  EXPECT_FALSE(
      pays(cpu::kWinogradGradWeights, for_weights({1, 32, 4, 4}, {1, 32, 4, 4}, {1, 1, 1, 1})));
}

}  // namespace
}  // namespace treadle::test

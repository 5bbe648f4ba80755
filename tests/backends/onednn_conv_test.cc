// Convolutions through oneDNN against the reference.
#include <malloc.h>

#include <thread>

#include "backends/cpu/onednn/conv.h"
#include "backends/cpu/onednn/conv_backward.h"
#include "tests/support/kernel_check.h"

namespace treadle::test {
namespace {

using cpu::kBlocked16;
using cpu::kChannelsLast;

Value rnd(Dims dims, uint64_t seed) { return random_tensor(DType::kFloat, std::move(dims), seed); }

KernelCase conv(std::string name, Dims x, Dims w, Attributes attributes, Layout layout = kPlain) {
  const Dims bias = {w[0]};
  return {.name = std::move(name),
          .op = "Conv",
          .attributes = std::move(attributes),
          .inputs = {rnd(std::move(x), 1), rnd(std::move(w), 2), rnd(bias, 3)},
          .layouts = {layout}};
}
std::vector<int64_t> ints(std::initializer_list<int64_t> v) { return v; }

TEST(OnednnConv, OddChannels) {
  for (const int64_t c : {1, 3, 15, 16, 17, 33}) {
    for (const int64_t m : {1, 8, 17, 32}) {
      for (const Layout layout : {kPlain, kBlocked16, kChannelsLast}) {
        check_kernel(cpu::kOnednnConv, conv(cat("c", c, "m", m, "layout", layout), {2, c, 7, 9},
                                            {m, c, 3, 3}, {{"pads", ints({1, 1, 1, 1})}}, layout));
      }
    }
  }
}

TEST(OnednnConv, Attributes) {
  const cpu::Family& f = cpu::kOnednnConv;
  check_kernel(f, conv("strides", {1, 16, 9, 11}, {32, 16, 3, 3}, {{"strides", ints({2, 3})}}));
  check_kernel(f, conv("dilations", {1, 16, 12, 12}, {8, 16, 3, 3}, {{"dilations", ints({2, 3})}}));
  check_kernel(f, conv("asymmetric", {3, 5, 6, 6}, {7, 5, 3, 2}, {{"pads", ints({0, 1, 2, 0})}}));
  check_kernel(f, conv("same_upper", {1, 5, 7, 7}, {7, 5, 4, 4},
                       {{"auto_pad", "SAME_UPPER"}, {"strides", ints({2, 2})}}));
  check_kernel(f, conv("groups", {1, 12, 6, 6}, {8, 3, 3, 3}, {{"group", int64_t{4}}}));
  check_kernel(f, conv("groups32", {1, 64, 6, 6}, {128, 32, 3, 3}, {{"group", int64_t{2}}}));
  check_kernel(f, conv("depthwise", {2, 33, 8, 8}, {33, 1, 3, 3},
                       {{"group", int64_t{33}}, {"pads", ints({1, 1, 1, 1})}}));
  check_kernel(f, conv("multiplier", {1, 6, 8, 8}, {12, 1, 3, 3}, {{"group", int64_t{6}}}));
  check_kernel(f, conv("pointwise", {1, 40, 5, 5}, {24, 40, 1, 1}, {}));
  check_kernel(f, conv("pixel", {3, 40, 1, 1}, {24, 40, 1, 1}, {}));
  check_kernel(f, conv("line", {2, 7, 20}, {9, 7, 3}, {{"pads", ints({1, 1})}}));
  check_kernel(
      f, conv("volume", {1, 4, 5, 6, 7}, {9, 4, 2, 3, 3}, {{"pads", ints({0, 1, 1, 1, 1, 1})}}));
}

TEST(OnednnConv, WeightsOfTheRun) {
  KernelCase c = conv("weights", {1, 16, 6, 6}, {24, 16, 3, 3}, {});
  c.constants = {};
  check_kernel(cpu::kOnednnConv, c);
  c.inputs.pop_back();
  check_kernel(cpu::kOnednnConv, c);
}

#ifndef TREADLE_SANITIZED  // mallinfo2 does not see their allocators
// Shape after shape, an application must not grow: oneDNN keeps some kernels for good.
TEST(OnednnConv, ShapesForever) {
  const auto compile = [](int64_t width) {
    KernelCase c = conv("shapes", {1, 16, 3, 8 + width}, {32, 16, 1, 1}, {{"activation", "Relu"}});
    c.op = "FusedConv";
    c.domain = "treadle";
    const CompiledCase compiled(cpu::kOnednnConv, c, 1);
  };
  const auto live = [] { return mallinfo2().uordblks + mallinfo2().hblkhd; };
  for (int64_t i = 0; i < 2000; ++i) compile(i % 40);
  const size_t before = live();
  for (int64_t i = 0; i < 1000; ++i) compile(i % 40);
  EXPECT_LT(live(), before + (size_t{1} << 20)) << "1,000 kernels kept would be some 10 MB";
  check_kernel(cpu::kOnednnConv, conv("after", {2, 17, 5, 7}, {24, 17, 1, 1}, {}));
}
#endif

TEST(OnednnConv, Reasons) {
  KernelCase c = conv("empty", {0, 3, 6, 6}, {4, 3, 3, 3}, {});
  EXPECT_EQ(reason(cpu::kOnednnConv, c), "empty tensor");
  c.inputs = {random_tensor(DType::kDouble, {1, 3, 6, 6}, 1),
              random_tensor(DType::kDouble, {4, 3, 3, 3}, 2)};
  EXPECT_EQ(reason(cpu::kOnednnConv, c), "dtype double");
}

TEST(OnednnConv, OneKernelOnFourThreads) {
  const CompiledCase made(cpu::kOnednnConv, conv("shared", {1, 16, 9, 9}, {24, 16, 3, 3}, {}), 1);
  const std::vector<Value> want = made.reference();
  std::vector<std::string> differences(4);
  std::vector<std::thread> threads;
  for (std::string& d : differences) {
    threads.emplace_back([&] {
      for (int i = 0; i < 50 && d.empty(); ++i)
        d = difference(made.run()[0], want[0], {1e-4, 1e-4});
    });
  }
  for (std::thread& t : threads) t.join();
  for (const std::string& d : differences) EXPECT_EQ(d, "");
}

// Every activation with bias and residual, in all layouts.
TEST(OnednnConv, Epilogues) {
  for (const char* activation : {"", "Relu", "LeakyRelu", "Clip", "Sigmoid", "Tanh", "HardSigmoid",
                                 "HardSwish", "Swish", "Gelu", "GeluTanh", "Elu"}) {
    for (const int64_t channels : {16, 33}) {
      for (const Layout layout : {kPlain, kBlocked16, kChannelsLast}) {
        KernelCase c =
            conv(cat(activation, channels, "layout", layout), {2, 16, 6, 5}, {channels, 16, 3, 3},
                 {{"pads", ints({1, 1, 1, 1})},
                  {"activation", activation},
                  {"activation_alpha", activation == std::string("Clip") ? -0.5f : 0.75f},
                  {"activation_beta", 0.5f}});
        c.op = "FusedConv";
        c.domain = "treadle";
        c.inputs.push_back(rnd({2, channels, 6, 5}, 4));
        c.layouts = {kPlain, kPlain, kPlain, layout};
        check_kernel(cpu::kOnednnConv, c);
      }
    }
  }
}

TEST(OnednnConv, DepthwiseResidual) {
  KernelCase c =
      conv("depthwise", {1, 33, 6, 5}, {33, 1, 3, 3},
           {{"pads", ints({1, 1, 1, 1})}, {"group", int64_t{33}}, {"activation", "Relu"}});
  c.op = "FusedConv";
  c.domain = "treadle";
  c.inputs.push_back(rnd({1, 33, 6, 5}, 4));
  check_kernel(cpu::kOnednnConv, c);
  c.inputs[2] = Value{};
  check_kernel(cpu::kOnednnConv, c);
}

KernelCase deconv(std::string name, Dims x, Dims w, int64_t m, Attributes attributes) {
  return {.name = std::move(name),
          .op = "ConvTranspose",
          .attributes = std::move(attributes),
          .inputs = {rnd(std::move(x), 1), rnd(std::move(w), 2), rnd({m}, 3)}};
}

KernelCase gradient(const char* op, const Dims& y, const Dims& other, Dims of, int64_t stride = 1) {
  return {.name = cat(op, " ", shape_text(y), " ", shape_text(other)),
          .op = op,
          .attributes = {{"strides", ints({stride, stride})}},
          .inputs = {rnd(y, 1), rnd(other, 2), axes(std::move(of))},
          .constants = {2},
          .domain = "treadle",
          .atol = 1e-3};
}

TEST(OnednnConvGradients, OfPoints) {
  for (const int64_t m : {16, 24, 33}) {
    check_kernel(cpu::kOnednnPointGradInput,
                 gradient("ConvGradInput", {2, m, 6, 7}, {m, 32, 1, 1}, {2, 32, 6, 7}));
    check_kernel(cpu::kOnednnPointGradWeights,
                 gradient("ConvGradWeights", {2, m, 6, 7}, {2, 32, 6, 7}, {m, 32, 1, 1}));
    check_kernel(cpu::kOnednnPointGradWeights,
                 gradient("ConvGradWeights", {2, m, 3, 4}, {2, 32, 6, 7}, {m, 32, 1, 1}, 2));
  }
  check_kernel(cpu::kOnednnPointGradWeights,
               gradient("ConvGradWeights", {2, 32, 7, 7}, {2, 3, 15, 15}, {32, 3, 3, 3}, 2));
  EXPECT_FALSE(pays(cpu::kOnednnPointGradInput,
                    gradient("ConvGradInput", {2, 8, 4, 4}, {8, 8, 3, 3}, {2, 8, 6, 6})));
  EXPECT_FALSE(pays(cpu::kOnednnPointGradWeights,
                    gradient("ConvGradWeights", {2, 8, 4, 4}, {2, 4, 6, 6}, {8, 4, 3, 3})));
}

TEST(OnednnDeconv, Attributes) {
  const cpu::Family& f = cpu::kOnednnDeconv;
  check_kernel(f, deconv("plain", {2, 5, 6, 7}, {5, 9, 3, 3}, 9, {}));
  check_kernel(f,
               deconv("strides", {1, 16, 6, 7}, {16, 32, 2, 2}, 32, {{"strides", ints({2, 2})}}));
  check_kernel(f, deconv("pads", {1, 16, 6, 7}, {16, 8, 4, 4}, 8,
                         {{"strides", ints({2, 2})}, {"pads", ints({1, 0, 2, 1})}}));
  check_kernel(f, deconv("output_padding", {1, 3, 6, 7}, {3, 4, 3, 3}, 4,
                         {{"strides", ints({3, 3})},
                          {"output_padding", ints({1, 0})},
                          {"pads", ints({1, 1, 1, 1})}}));
  EXPECT_EQ(reason(f, deconv("beyond", {1, 3, 6, 7}, {3, 4, 3, 3}, 4,
                             {{"strides", ints({3, 3})},
                              {"output_padding", ints({1, 2})},
                              {"pads", ints({1, 1, 1, 1})}})),
            "output beyond the last window");
  check_kernel(f, deconv("groups", {1, 6, 5, 5}, {6, 4, 3, 3}, 12, {{"group", int64_t{3}}}));
  check_kernel(f,
               deconv("dilations", {1, 6, 5, 5}, {6, 4, 3, 3}, 4, {{"dilations", ints({2, 2})}}));
  check_kernel(f, deconv("line", {1, 6, 15}, {6, 4, 3}, 4, {{"strides", ints({2})}}));
}

}  // namespace
}  // namespace treadle::test

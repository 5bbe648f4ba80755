// Pooling, normalization and softmax against the reference.
#include "backends/cpu/onednn/pool.h"
#include "backends/cpu/native/pool.h"
#include "backends/cpu/native/rows.h"
#include "tests/support/kernel_check.h"

namespace treadle::test {
namespace {

using cpu::kBlocked16;
using cpu::kChannelsLast;

Value rnd(Dims dims, uint64_t seed) { return random_tensor(DType::kFloat, std::move(dims), seed); }
std::vector<int64_t> ints(std::initializer_list<int64_t> v) { return v; }

void check_pools(const std::string& name, const Dims& x, const Attributes& attributes) {
  for (const auto& [op, family] :
       {std::pair{"MaxPool", &cpu::kNativeMaxPool}, std::pair{"AveragePool", &cpu::kOnednnPool}}) {
    for (const Layout layout : {kPlain, kBlocked16, kChannelsLast}) {
      check_kernel(*family, {.name = cat(name, " layout ", layout),
                             .op = op,
                             .attributes = attributes,
                             .inputs = {rnd(x, 1)},
                             .constants = {},
                             .layouts = {layout}});
    }
  }
}

TEST(Pool, Windows) {
  check_pools("plain", {2, 17, 9, 8}, {{"kernel_shape", ints({3, 2})}});
  check_pools(
      "strides", {1, 16, 9, 8},
      {{"kernel_shape", ints({3, 3})}, {"strides", ints({2, 2})}, {"pads", ints({1, 1, 1, 1})}});
  check_pools("one", {3, 1, 5, 5}, {{"kernel_shape", ints({2, 2})}, {"pads", ints({0, 1, 1, 0})}});
  check_pools(
      "ceil", {1, 33, 8, 8},
      {{"kernel_shape", ints({3, 3})}, {"strides", ints({2, 2})}, {"ceil_mode", int64_t{1}}});
  check_pools("line", {2, 15, 30}, {{"kernel_shape", ints({4})}, {"strides", ints({3})}});
  check_pools("volume", {1, 16, 5, 6, 7}, {{"kernel_shape", ints({2, 3, 2})}});
}

TEST(OnednnPool, Options) {
  KernelCase c{.name = "include",
               .op = "AveragePool",
               .attributes = {{"kernel_shape", ints({3, 3})},
                              {"pads", ints({1, 1, 1, 1})},
                              {"count_include_pad", int64_t{1}}},
               .inputs = {rnd({1, 16, 7, 7}, 1)},
               .constants = {}};
  check_kernel(cpu::kOnednnPool, c);
}

TEST(NativeMaxPool, Options) {
  KernelCase c{.name = "dilated",
               .op = "MaxPool",
               .attributes = {{"kernel_shape", ints({3, 3})}, {"dilations", ints({2, 2})}},
               .inputs = {rnd({1, 16, 7, 7}, 1)},
               .constants = {}};
  check_kernel(cpu::kNativeMaxPool, c);
  c.attributes = {{"kernel_shape", ints({7, 11})}, {"pads", ints({1, 2, 3, 4})}};
  c.inputs = {rnd({2, 19, 9, 12}, 2)};
  check_kernel(cpu::kNativeMaxPool, c);
  c.attributes = {{"kernel_shape", ints({9, 9})}, {"pads", ints({4, 4, 4, 4})}};
  c.inputs = {rnd({2, 19, 13, 13}, 3)};  // no window lies within a row
  check_kernel(cpu::kNativeMaxPool, c);
  c.attributes = {
      {"kernel_shape", ints({5, 5})}, {"strides", ints({2, 2})}, {"pads", ints({2, 2, 2, 2})}};
  check_kernel(cpu::kNativeMaxPool, c);
  c.attributes = {{"kernel_shape", ints({5, 7, 3})}, {"pads", ints({2, 3, 1, 2, 3, 1})}};
  c.inputs = {rnd({1, 3, 6, 8, 40}, 4)};  // more rows than are looked at together
  check_kernel(cpu::kNativeMaxPool, c);
  c.attributes = {{"kernel_shape", ints({7, 11})}, {"pads", ints({1, 2, 3, 4})}};
  c.inputs = {rnd({2, 19, 9, 12}, 2)};
  c.outputs = 2;
  EXPECT_EQ(reason(cpu::kNativeMaxPool, c), "Indices");
  c.outputs = 1;
  c.attributes.set("kernel_shape", ints({7, 2}));
  c.attributes.set("dilations", ints({1, 13}));
  EXPECT_EQ(reason(cpu::kNativeMaxPool, c), "window within the padding");
}

TEST(Pool, Global) {
  for (const auto& [op, family] : {std::pair{"GlobalAveragePool", &cpu::kOnednnPool},
                                   std::pair{"GlobalMaxPool", &cpu::kNativeReduce}}) {
    for (const int64_t channels : {1, 16, 33}) {
      for (const Layout layout : {kPlain, kBlocked16, kChannelsLast}) {
        check_kernel(*family, {.name = cat("c", channels, " layout ", layout),
                               .op = op,
                               .inputs = {rnd({2, channels, 7, 5}, 1)},
                               .constants = {},
                               .layouts = {layout}});
      }
    }
  }
}

TEST(OnednnLrn, Sizes) {
  for (const int64_t size : {1, 3, 5}) {
    for (const Layout layout : {kPlain, kBlocked16, kChannelsLast}) {
      check_kernel(cpu::kOnednnLrn,
                   {.name = cat("size ", size, " layout ", layout),
                    .op = "LRN",
                    .attributes = {{"size", size}, {"alpha", 0.5f}, {"beta", 0.6f}},
                    .inputs = {rnd({2, 17, 5, 6}, 1)},
                    .constants = {},
                    .layouts = {layout}});
    }
  }
}

}  // namespace
}  // namespace treadle::test

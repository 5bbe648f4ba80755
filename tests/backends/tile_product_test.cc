// Products of floats by tiles of AMX against the reference, which sums in double.
#include "backends/cpu/native/tile_product.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "backends/cpu/native/panels.h"
#include "backends/cpu/native/tile_weights.h"
#include "backends/cpu/simd/float_tiles.h"
#include "tests/support/kernel_check.h"

namespace treadle::test {
namespace {

using cpu::kTileProduct;

class Tiles : public testing::Test {
 protected:
  void SetUp() override {
    if (cpu::float_tile_functions().multiply == nullptr)
      GTEST_SKIP() << "this processor has no tiles (AMX), or TREADLE_ISA hides them";
  }
};

Value rnd(Dims dims, uint64_t seed) {
  return random_tensor(DType::kFloat, std::move(dims), seed, -1, 1);
}

KernelCase conv(const Dims& x, const Dims& w, const std::string& activation = "Relu") {
  return {.name = cat(shape_text(x), " by ", shape_text(w), " ", activation),
          .op = "FusedConv",
          .attributes = {{"activation", activation},
                         {"activation_alpha", activation == "Clip" ? 0.0f : 1.0f},
                         {"activation_beta", 0.5f}},
          .inputs = {rnd(x, 1), rnd(w, 2), rnd({w[0]}, 3)},
          .domain = "treadle"};
}

KernelCase product(int64_t m, int64_t k, int64_t n, const std::string& activation = "") {
  return {.name = cat(m, "x", k, "x", n, " ", activation),
          .op = "FusedMatMul",
          .attributes = {{"activation", activation}},
          .inputs = {rnd({m, k}, 1), rnd({k, n}, 2), rnd({n}, 3)},
          .domain = "treadle"};
}

// Also: the sum with a residual, where the results take its place.
void check_both(KernelCase c, const Dims& y) {
  check_kernel(kTileProduct, c);
  c.inputs.push_back(rnd(y, 4));
  check_kernel(kTileProduct, c);
}

// Parts of tiles in every direction, and several chunks, groups of columns and parts of a depth.
TEST_F(Tiles, Products) {
  for (const int64_t m : {1, 2, 15, 16, 17, 33, 70}) {
    for (const int64_t k : {1, 2, 31, 32, 33, 100}) {
      for (const int64_t n : {1, 15, 16, 17, 32, 49, 100}) check_both(product(m, k, n), {m, n});
    }
  }
  for (const char* activation : {"Relu", "Gelu", "Swish"}) {
    check_both(product(200, 3000, 40, activation), {200, 40});
    check_both(product(1030, 512, 200, activation), {1030, 200});
    check_both(product(20, 256, 700, activation), {20, 700});
  }
}

TEST_F(Tiles, TurnedAndScaledWeights) {
  for (const int64_t turned : {0, 1}) {
    const KernelCase c{
        .name = cat("turned ", turned),
        .op = "Gemm",
        .attributes = {{"transB", turned}, {"alpha", 0.5f}},
        .inputs = {rnd({37, 50}, 1), rnd(turned ? Dims{45, 50} : Dims{50, 45}, 2), rnd({45}, 3)}};
    check_kernel(kTileProduct, c);
  }
}

TEST_F(Tiles, Convolutions) {
  for (const auto& [channels, outputs] :
       {std::pair<int64_t, int64_t>{3, 32}, {16, 16}, {33, 40}, {64, 20}, {256, 8}}) {
    for (const int64_t kernel : {1, 2, 3, 5}) {
      for (const int64_t stride : {1, 2, 3}) {
        for (const int64_t size : {5, 16, 23}) {
          KernelCase c = conv({2, channels, size, size + 2}, {outputs, channels, kernel, kernel});
          const int64_t pad = kernel / 2;
          c.name += cat(" by ", stride);
          c.attributes.set("strides", std::vector<int64_t>{stride, stride});
          c.attributes.set("pads", std::vector<int64_t>{pad, pad, pad, pad});
          const auto out = [&](int64_t s) { return (s + 2 * pad - kernel) / stride + 1; };
          check_both(c, {2, outputs, out(size), out(size + 2)});
        }
      }
    }
  }
}

TEST_F(Tiles, WindowsOfAllKinds) {
  struct Case {
    std::vector<int64_t> pads, strides, dilations;
    Dims kernel;
  };
  for (const Case& v : {Case{{0, 0, 0, 0}, {1, 1}, {1, 1}, {3, 1}},
                        {{2, 0, 1, 3}, {1, 1}, {1, 1}, {3, 3}},
                        {{5, 6, 7, 8}, {1, 1}, {1, 1}, {3, 3}},
                        {{1, 1, 1, 1}, {1, 2}, {1, 1}, {3, 3}},
                        {{2, 2, 2, 2}, {2, 1}, {1, 1}, {5, 2}},
                        {{2, 3, 2, 3}, {1, 1}, {2, 3}, {3, 3}},
                        {{0, 0, 0, 0}, {2, 2}, {3, 2}, {2, 3}},
                        {{1, 1, 1, 1}, {1, 1}, {1, 1}, {1, 1}},
                        {{0, 0, 0, 0}, {1, 1}, {1, 1}, {1, 7}}}) {
    for (const int64_t channels : {5, 32}) {
      for (const char* activation : {"Clip", "HardSwish"}) {
        KernelCase c =
            conv({3, channels, 14, 19}, {24, channels, v.kernel[0], v.kernel[1]}, activation);
        c.name += shape_text(v.pads);
        c.attributes.set("pads", v.pads);
        c.attributes.set("strides", v.strides);
        c.attributes.set("dilations", v.dilations);
        check_kernel(kTileProduct, c);
      }
    }
  }
}

TEST_F(Tiles, Lines) {
  for (const int64_t kernel : {1, 3, 4}) {
    for (const int64_t stride : {1, 2}) {
      KernelCase c = conv({2, 20, 37}, {18, 20, kernel}, "Swish");
      c.attributes.set("strides", std::vector<int64_t>{stride});
      c.attributes.set("pads", std::vector<int64_t>{kernel / 2, kernel / 2});
      check_kernel(kTileProduct, c);
    }
  }
}

// More lines than a chunk holds: those that windows share are split in each.
TEST_F(Tiles, Chunks) {
  KernelCase c = conv({2, 128, 60, 50}, {16, 128, 3, 3});
  c.attributes.set("pads", std::vector<int64_t>{1, 1, 1, 1});
  check_kernel(kTileProduct, c);
  check_kernel(kTileProduct, conv({2, 512, 40, 25}, {16, 512, 1, 1}, "Swish"));
}

double largest_error(const KernelCase& c) {
  const CompiledCase made(kTileProduct, c, 1);
  const std::vector<double> got = made.run()[0].to_doubles();
  const std::vector<double> want = made.reference()[0].tensor().to_doubles();
  double error = 0;
  for (size_t i = 0; i < want.size(); ++i) error = std::max(error, std::abs(got[i] - want[i]));
  return error;
}

// As sums of floats: within 2^-22 of the sum of the products' sizes.
TEST_F(Tiles, Errors) {
  for (const int64_t k : {16, 300, 4000}) {
    KernelCase c = product(64, k, 64);
    c.inputs.resize(2);
    Tensor a = c.inputs[0].tensor().clone(), b = c.inputs[1].tensor().clone();
    KernelCase sizes = c;
    for (Tensor* t : {&a, &b}) {
      for (float& x : t->data<float>()) x = std::abs(x);
    }
    sizes.inputs = {Value(a), Value(b)};
    const std::vector<double> sums = reference_of(sizes)[0].tensor().to_doubles();
    EXPECT_LT(largest_error(c), 0x1p-22 * *std::ranges::max_element(sums)) << k;
  }
}

// Numbers of all sizes, and of all 24 bits: no part is lost.
TEST_F(Tiles, AllBitsOfNumbers) {
  KernelCase c = product(16, 32, 32);
  c.inputs.resize(2);
  Tensor a = c.inputs[0].tensor().clone(), b(DType::kFloat, {32, 32});
  std::ranges::fill(b.data<float>(), 0.0F);
  for (size_t i = 0; i < 32; ++i) b.data<float>()[i * 33] = 1;
  for (size_t i = 0; i < 512; ++i)
    a.data<float>()[i] = std::ldexp(1 + 0x1p-23f * static_cast<float>(i * 16411 + 1),
                                    static_cast<int>(i % 200) - 100);
  c.inputs = {Value(a), Value(b)};
  const std::vector<double> got = CompiledCase(kTileProduct, c, 1).run()[0].to_doubles();
  EXPECT_EQ(got, a.to_doubles());
}

// What bfloat16 holds is multiplied exactly.
TEST_F(Tiles, WholeNumbersAreExact) {
  KernelCase c = product(40, 200, 40);
  c.inputs.resize(2);
  for (Value& v : c.inputs) {
    Tensor whole = v.tensor().clone();
    for (float& x : whole.data<float>()) x = std::round(x * 200);
    v = Value(whole);
  }
  EXPECT_EQ(largest_error(c), 0);
}

// Rows that have none of them do not see them.
TEST_F(Tiles, InfinitiesAndNan) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  for (const float odd : {kInfinity, -kInfinity, std::numeric_limits<float>::quiet_NaN()}) {
    KernelCase c = product(20, 33, 40);
    Tensor a = c.inputs[0].tensor().clone();
    a.data<float>()[5 * 33 + 32] = odd;
    c.inputs[0] = Value(a);
    const CompiledCase made(kTileProduct, c, 1);
    const std::vector<double> got = made.run()[0].to_doubles();
    const std::vector<double> want = made.reference()[0].tensor().to_doubles();
    for (size_t i = 0; i < got.size(); ++i) {
      if (i / 40 == 5) {
        EXPECT_TRUE(std::isnan(got[i])) << i;
      } else {
        EXPECT_NEAR(got[i], want[i], 1e-4) << i;
      }
    }
  }
}

TEST_F(Tiles, Reasons) {
  KernelCase c = conv({1, 32, 8, 8}, {32, 16, 3, 3});
  c.attributes.set("group", int64_t{2});
  EXPECT_EQ(reason(kTileProduct, c), "groups");
  c = conv({1, 32, 8, 8}, {32, 32, 3, 3});
  c.constants = {2};
  EXPECT_EQ(reason(kTileProduct, c), "weights that are not constant");
  c = conv({1, 32, 8, 8}, {32, 32, 3, 3});
  c.attributes.set("pads", std::vector<int64_t>{100, 100, 100, 100});
  EXPECT_EQ(reason(kTileProduct, c), "planes beyond the input");
  c.attributes.set("pads", std::vector<int64_t>{1, 1, 1, 1});
  c.attributes.set("strides", std::vector<int64_t>{1 << 20, 1 << 20});
  EXPECT_EQ(reason(kTileProduct, c), "planes beyond the input");
}

// So that a plan for more rows packs nothing anew.
TEST_F(Tiles, ReadThePanelsOfProductsOfFewRows) {
  PackCache packs;
  const CompileContext context{.packs = &packs};
  for (const bool turned : {false, true}) {
    const Tensor w = rnd({70, 64}, 1).tensor();
    const int64_t n = turned ? 70 : 64, k = turned ? 64 : 70;
    const int64_t row = turned ? 1 : 64, column = turned ? 64 : 1;
    const auto panels =
        cpu::packed_panels(w, {.n = n, .k = k, .row = row, .column = column}, context);
    const auto tiles =
        cpu::tile_weights(w, {.n = n, .row = row, .column = column}, {k, 1, 1}, context);
    EXPECT_EQ(panels.numbers == tiles, turned) << "70 numbers are steps of 24, with 2 zeros";
  }
}

TEST_F(Tiles, PayForLargeProducts) {
  EXPECT_TRUE(pays(kTileProduct, product(100, 256, 256)));
  EXPECT_FALSE(pays(kTileProduct, product(50, 256, 256)));
  EXPECT_TRUE(pays(kTileProduct, product(30, 1024, 1024))) << "weights from memory";
  EXPECT_FALSE(pays(kTileProduct, product(100, 128, 256)));
  EXPECT_FALSE(pays(kTileProduct, product(100, 256, 128)));
  EXPECT_TRUE(pays(kTileProduct, conv({1, 256, 18, 18}, {256, 256, 3, 3})));
  KernelCase c = conv({1, 256, 30, 30}, {256, 256, 3, 3});
  EXPECT_FALSE(pays(kTileProduct, c)) << "Winograd's algorithm does";
  c.attributes.set("strides", std::vector<int64_t>{2, 2});
  EXPECT_TRUE(pays(kTileProduct, c));
  c.inputs[0] = rnd({8, 256, 9, 9}, 1);
  EXPECT_FALSE(pays(kTileProduct, c)) << "tiles of 4 outputs";
}

}  // namespace
}  // namespace treadle::test

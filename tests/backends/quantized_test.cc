// Products of bytes: every shape of scales, with and without zero points, and tails.
#include "backends/cpu/native/quantized.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "backends/cpu/native/byte_weights.h"
#include "backends/cpu/native/pool.h"
#include "backends/cpu/native/quantize.h"
#include "backends/cpu/native/quantized_winograd.h"
#include "backends/cpu/simd/simd.h"
#include "tests/support/kernel_check.h"

namespace treadle::test {
namespace {

Tensor bytes(DType dtype, Dims dims, uint64_t seed) {
  return dtype == DType::kInt8 ? random_tensor(dtype, std::move(dims), seed, -128, 127)
                               : random_tensor(dtype, std::move(dims), seed, 0, 255);
}
Tensor scales(int64_t count, uint64_t seed, double most) {
  return random_tensor(DType::kFloat, count == 1 ? Dims{} : Dims{count}, seed, most / 2, most);
}
Value zero(DType dtype, int64_t value) {
  return dtype == DType::kInt8 ? Value(Tensor::scalar(static_cast<int8_t>(value)))
                               : Value(Tensor::scalar(static_cast<uint8_t>(value)));
}

// With every instruction set that has vectors, and no better products of bytes than the family's.
void check_by_each(const cpu::Family& family, const KernelCase& c) {
  for (const std::string& target : cpu::simd_targets()) {
    if (target == "scalar") continue;
    if (&family == &cpu::kQuantizedWinograd && target == "avx512_vnni") continue;
    SCOPED_TRACE(target);
    cpu::set_simd_target(target);
    check_kernel(family, c);
  }
  cpu::set_simd_target("");
}

bool has_vectors() { return cpu::simd_targets().size() > 1; }

// To floats, where the sums show; and to bytes.
void check_product(const cpu::Family& family, KernelCase c, DType dtype, double y_scale) {
  c.domain = "treadle";
  c.constants = {1, 2, 3, 4, 5, 6, 7};
  check_by_each(family, c);
  c.inputs.resize(6);
  c.inputs.push_back(Tensor::scalar(static_cast<float>(y_scale)));
  c.inputs.push_back(zero(dtype, 5));
  c.rtol = 0, c.atol = 1;  // a tie that is rounded otherwise
  check_by_each(family, c);
}

TEST(Quantized, Convolutions) {
  for (const DType dtype : {DType::kUint8, DType::kInt8}) {
    for (const auto& [channels, outputs, group] :
         {std::tuple{3, 8, 1}, {16, 32, 1}, {17, 33, 1}, {16, 16, 16}, {8, 16, 2}, {1, 1, 1}}) {
      for (const bool by_channel : {false, true}) {
        KernelCase c;
        c.name = cat(dtype_name(dtype), " ", channels, " ", outputs, " ", group, " ", by_channel);
        c.op = "QuantizedConv";
        c.attributes = {{"pads", std::vector<int64_t>{1, 1, 1, 1}}, {"group", int64_t{group}}};
        c.inputs = {bytes(dtype, {2, channels, 7, 9}, 1),
                    bytes(DType::kInt8, {outputs, channels / group, 3, 3}, 2),
                    random_tensor(DType::kFloat, {outputs}, 3),
                    scales(1, 4, 0.02),
                    scales(by_channel ? outputs : 1, 5, 0.01),
                    zero(dtype, by_channel ? 0 : 7)};
        check_product(cpu::kQuantizedConv, c, dtype, 0.3);
      }
    }
  }
}

struct Window {
  int64_t channels, outputs, group, kernel, stride, dilation, width;
};

// Lines of taps, single taps and gathered windows; blocks of columns and rows with their tails; and
// padding that stands for nothing, or not.
TEST(Quantized, Windows) {
  for (const Window& w : {Window{3, 40, 1, 7, 2, 1, 30},
                          {64, 70, 1, 3, 1, 1, 14},
                          {64, 16, 1, 3, 1, 2, 9},
                          {8, 130, 1, 1, 2, 1, 13},
                          {6, 9, 1, 1, 1, 1, 8},
                          {128, 72, 2, 3, 1, 1, 7},
                          {12, 6, 2, 3, 2, 1, 6},
                          {70, 70, 1, 1, 1, 1, 5},
                          {22, 64, 1, 3, 1, 1, 7},
                          {130, 8, 2, 3, 1, 1, 3}}) {
    for (const DType dtype : {DType::kUint8, DType::kInt8}) {
      for (const int64_t z : {0, 11}) {
        KernelCase c;
        c.name = cat(dtype_name(dtype), " ", w.channels, " ", w.outputs, " ", w.group, " ",
                     w.kernel, " ", w.stride, " ", w.dilation, " ", w.width, " ", z);
        c.op = "QuantizedConv";
        const int64_t pad = w.kernel / 2;
        c.attributes = {{"pads", std::vector<int64_t>{pad, pad, pad, pad}},
                        {"strides", std::vector<int64_t>(2, w.stride)},
                        {"dilations", std::vector<int64_t>(2, w.dilation)},
                        {"group", w.group}};
        c.inputs = {bytes(dtype, {2, w.channels, 6, w.width}, 1),
                    bytes(DType::kInt8, {w.outputs, w.channels / w.group, w.kernel, w.kernel}, 2),
                    random_tensor(DType::kFloat, {w.outputs}, 3),
                    scales(1, 4, 0.02),
                    scales(w.outputs, 5, 0.01),
                    zero(dtype, z)};
        check_product(cpu::kQuantizedConv, c, dtype, 0.3);
      }
    }
  }
}

// Tiles that leave the input and the output, channels that are no multiple of a vector, and sums
// that are added to; of bytes and weights at their ends too.
TEST(Quantized, Winograd) {
  for (const auto& [channels, outputs, height, width] :
       {std::tuple{16, 16, 6, 8}, {18, 32, 7, 5}, {40, 48, 1, 1}, {64, 16, 3, 20}}) {
    for (const DType dtype : {DType::kUint8, DType::kInt8}) {
      for (const int64_t pad : {0, 1}) {
        KernelCase c;
        c.name = cat(dtype_name(dtype), " ", channels, " ", outputs, " ", height, " ", pad);
        c.op = "QuantizedConv";
        c.domain = "treadle";
        c.attributes = {{"pads", std::vector<int64_t>{pad, pad, 1, 1}}};
        const int64_t by = pad + 1;
        const Dims y = {2, outputs, height + by - 2, width + by - 2};
        if (element_count(y) == 0 || height + by < 3) continue;
        c.inputs = {bytes(dtype, {2, channels, height, width}, 1),
                    bytes(DType::kInt8, {outputs, channels, 3, 3}, 2),
                    random_tensor(DType::kFloat, {outputs}, 3),
                    scales(1, 4, 0.02),
                    scales(outputs, 5, 0.01),
                    zero(dtype, 11)};
        check_product(cpu::kQuantizedWinograd, c, dtype, 0.3);
        c.constants = {1, 2, 4};
        c.name += " zero of the run";
        check_by_each(cpu::kQuantizedWinograd, c);
        c.name += ", sum";
        c.inputs.insert(c.inputs.end(),
                        {scales(1, 6, 0.1), zero(DType::kInt8, -7), bytes(dtype, y, 7),
                         scales(1, 8, 0.2), zero(dtype, 9), scales(1, 9, 0.2), zero(dtype, 11)});
        c.constants = {1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12};
        c.rtol = 0, c.atol = 1;
        check_by_each(cpu::kQuantizedWinograd, c);
      }
    }
  }
}

// All weights and bytes at their ends: what wraps around comes back.
TEST(Quantized, GreatestSumsByWinograd) {
  KernelCase c;
  c.op = "QuantizedConv";
  c.attributes = {{"pads", std::vector<int64_t>{1, 1, 1, 1}}};
  Tensor x = Tensor::zeros(DType::kUint8, {1, 1826, 4, 3});
  Tensor w = Tensor::zeros(DType::kInt8, {16, 1826, 3, 3});
  std::ranges::fill(x.data<uint8_t>(), uint8_t{255});
  std::ranges::fill(w.data<int8_t>(), int8_t{-128});
  c.inputs = {x, w, Value{}, scales(1, 4, 0.02), scales(1, 5, 0.01), Value{}};
  check_product(cpu::kQuantizedWinograd, c, DType::kUint8, 1000);
}

TEST(Quantized, Reasons) {
  if (!has_vectors()) GTEST_SKIP() << "products of bytes need vectors";
  KernelCase c;
  c.op = "QuantizedMatMul";
  c.domain = "treadle";
  c.inputs = {bytes(DType::kUint8, {1, 65794}, 1), bytes(DType::kInt8, {65794, 1}, 2), Value{},
              scales(1, 4, 0.02), scales(1, 5, 0.01)};
  c.constants = {1, 2, 3, 4, 5, 6, 7};
  EXPECT_EQ(reason(cpu::kQuantizedMatMul, c), "sums beyond 32 bits");
  c.inputs[0] = bytes(DType::kUint8, {1, 40}, 1);
  c.inputs[1] = bytes(DType::kInt8, {40, 1}, 2);
  c.inputs.resize(6);
  c.inputs.push_back(Tensor::scalar(1e-30f));
  EXPECT_EQ(compare_kernel(cpu::kQuantizedMatMul, c), "levels beyond what an integer holds");
}

// All weights and bytes at their ends: sums do not wrap around.
TEST(Quantized, GreatestSums) {
  KernelCase c;
  c.op = "QuantizedMatMul";
  Tensor a = Tensor::zeros(DType::kUint8, {7, 65792}), w = Tensor::zeros(DType::kInt8, {65792, 5});
  std::ranges::fill(a.data<uint8_t>(), uint8_t{255});
  std::ranges::fill(w.data<int8_t>(), int8_t{-128});
  c.inputs = {a, w, Value{}, scales(1, 4, 0.02), scales(1, 5, 0.01), Value{}};
  check_product(cpu::kQuantizedMatMul, c, DType::kUint8, 1000);
}

// Neighbouring weights whose sum is at the end of what pairs of products take in 16 bits, beyond it,
// and far from it, so that steps are of both kinds.
TEST(Quantized, SumsOfPairs) {
  constexpr std::pair<int8_t, int8_t> kPairs[] = {{64, 64},    {65, 64},   {127, 1},   {127, 2},
                                                  {-128, 0},   {-128, -1}, {-64, -64}, {-64, -65},
                                                  {127, -128}, {1, 2},     {-3, 4},    {0, 0}};
  constexpr int64_t kColumns = 19, kDepth = 24;
  for (size_t first = 0; first < std::size(kPairs); ++first) {
    KernelCase c;
    c.name = cat("from pair ", first);
    c.op = "QuantizedMatMul";
    Tensor a = Tensor::zeros(DType::kUint8, {7, kDepth});
    Tensor w = Tensor::zeros(DType::kInt8, {kDepth, kColumns});
    std::ranges::fill(a.data<uint8_t>(), uint8_t{255});
    a.data<uint8_t>()[3] = 0;
    for (int64_t k = 0; k < kDepth; ++k) {
      // Most columns hold small weights, so that some quads fit as they are.
      const auto& pair = kPairs[(first + static_cast<size_t>(k / 8)) % std::size(kPairs)];
      for (const int64_t column : {0, 17})
        w.data<int8_t>()[static_cast<size_t>(k * kColumns + column)] =
            k % 2 == 0 ? pair.first : pair.second;
    }
    c.inputs = {a, w, Value{}, scales(1, 4, 0.02), scales(1, 5, 0.01), Value{}};
    check_product(cpu::kQuantizedMatMul, c, DType::kUint8, 20);
  }
}

// The sum with what was quantized before, in place where that may be.
TEST(Quantized, ConvolutionsThatAdd) {
  for (const DType dtype : {DType::kUint8, DType::kInt8}) {
    for (const auto& [channels, group] : {std::pair{16, 1}, {33, 1}, {16, 16}}) {
      KernelCase c;
      c.name = cat(dtype_name(dtype), " ", channels, " ", group);
      c.op = "QuantizedConv";
      c.domain = "treadle";
      c.attributes = {{"pads", std::vector<int64_t>{1, 1, 1, 1}}, {"group", int64_t{group}}};
      const Dims x = {2, channels, 7, 9};
      c.inputs = {bytes(DType::kUint8, x, 1),
                  bytes(DType::kInt8, {channels, channels / group, 3, 3}, 2),
                  random_tensor(DType::kFloat, {channels}, 3),
                  scales(1, 4, 0.02),
                  scales(channels, 5, 0.01),
                  zero(DType::kUint8, 3),
                  scales(1, 6, 0.1),  // narrow: the product saturates
                  zero(DType::kInt8, -7),
                  bytes(dtype, x, 7),
                  scales(1, 8, 0.2),
                  zero(dtype, 9),
                  scales(1, 9, 0.2),
                  zero(dtype, 11)};
      c.constants = {1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12};
      c.rtol = 0, c.atol = 1;
      check_by_each(cpu::kQuantizedConv, c);
      if (!has_vectors()) continue;
      c.inputs[8] = bytes(dtype, {1, channels, 7, 9}, 7);
      EXPECT_EQ(reason(cpu::kQuantizedConv, c), "a sum of other bytes");
    }
  }
}

TEST(Quantized, ConvolutionsOfOtherRanks) {
  for (const size_t spatial : {1, 3}) {
    KernelCase c;
    c.name = cat("rank ", spatial + 2);
    c.op = "QuantizedConv";
    Dims x = {1, 4}, w = {6, 4};
    for (size_t i = 0; i < spatial; ++i) x.push_back(6), w.push_back(2);
    c.attributes = {{"strides", std::vector<int64_t>(spatial, 2)}};
    c.inputs = {bytes(DType::kUint8, x, 1), bytes(DType::kInt8, w, 2), Value{},
                scales(1, 4, 0.02),         scales(6, 5, 0.01),        zero(DType::kUint8, 9)};
    check_product(cpu::kQuantizedConv, c, DType::kUint8, 0.2);
  }
}

TEST(Quantized, MatrixProducts) {
  for (const DType dtype : {DType::kUint8, DType::kInt8}) {
    for (const Dims& a : {Dims{5, 40}, Dims{1, 64}, Dims{2, 3, 33}, Dims{16}}) {
      for (const bool turned : {false, true}) {
        for (const int64_t n : {1, 17, 64}) {
          KernelCase c;
          c.name = cat(dtype_name(dtype), shape_text(a), turned, " ", n);
          c.op = "QuantizedMatMul";
          c.attributes = {{"transB", int64_t{turned}}};
          const Dims b = turned ? Dims{n, a.back()} : Dims{a.back(), n};
          c.inputs = {bytes(dtype, a, 1),
                      bytes(DType::kInt8, b, 2),
                      turned ? Value(random_tensor(DType::kFloat, {n}, 3)) : Value{},
                      scales(1, 4, 0.02),
                      scales(turned ? n : 1, 5, 0.01),
                      zero(dtype, -3 & 0x7f)};
          check_product(cpu::kQuantizedMatMul, c, dtype, 0.2);
        }
      }
    }
  }
}

// As after DynamicQuantizeLinear.
TEST(Quantized, ScaleAndZeroPointOfTheRun) {
  KernelCase c;
  c.name = "of the run";
  c.op = "QuantizedMatMul";
  c.domain = "treadle";
  c.inputs = {bytes(DType::kUint8, {7, 48}, 1),
              bytes(DType::kInt8, {48, 20}, 2),
              random_tensor(DType::kFloat, {20}, 3),
              scales(1, 4, 0.02),
              scales(20, 5, 0.01),
              zero(DType::kUint8, 131)};
  c.constants = {1, 2, 4};
  check_by_each(cpu::kQuantizedMatMul, c);
  c.name = "with an activation";
  c.attributes.set("activation", std::string("Gelu"));
  check_by_each(cpu::kQuantizedMatMul, c);
}

// A column as such, and as a row for another product, once both read it from one cache.
TEST(Quantized, OneMatrixPackedInTwoWays) {
  if (!has_vectors()) GTEST_SKIP() << "products of bytes need vectors";
  const Tensor w = bytes(DType::kInt8, {40, 1}, 2);
  PackCache packs;
  const CompileContext context{.packs = &packs};
  const cpu::ByteWeights row(w, {.columns = 40, .channels = 1}, context);
  const cpu::ByteWeights column(w, {.columns = 1, .channels = 40}, context);
  int32_t sum = 0;
  for (const int8_t x : w.data<int8_t>()) sum += x;
  EXPECT_EQ(column.sums()[0], sum);
  EXPECT_EQ(row.sums()[39], w.data<int8_t>()[39]);
}

TEST(Quantized, MaximaOfBytes) {
  for (const DType dtype : {DType::kUint8, DType::kInt8}) {
    for (const int64_t channels : {1, 16, 33, 70}) {
      KernelCase c;
      c.name = cat(dtype_name(dtype), channels);
      c.op = "MaxPool";
      c.attributes = {{"kernel_shape", std::vector<int64_t>{3, 3}},
                      {"strides", std::vector<int64_t>{2, 2}},
                      {"pads", std::vector<int64_t>{1, 1, 1, 1}}};
      c.inputs = {bytes(dtype, {2, channels, 9, 8}, 1)};
      c.constants = {};
      check_by_each(cpu::kNativeMaxPool, c);
    }
  }
}

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

// Products of bytes: every shape of scales, with and without zero points, and tails.
#include "backends/cpu/native/quantized.h"

#include <gtest/gtest.h>

#include "backends/cpu/native/byte_weights.h"
#include "backends/cpu/native/pool.h"
#include "backends/cpu/native/quantized_depthwise.h"
#include "tests/support/byte_cases.h"

namespace treadle::test {
namespace {

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
                          {130, 8, 2, 3, 1, 1, 3},
                          {1, 16, 1, 8, 1, 1, 40},    // windows beyond both edges
                          {8, 8, 8, 3, 1, 1, 14},     // groups of few outputs
                          {26, 26, 26, 5, 1, 2, 11},  // dilated
                          {34, 34, 17, 3, 2, 1, 9},   // a prime number of them
                          {96, 48, 12, 3, 1, 1, 7},
                          {2, 4, 2, 1, 1, 1, 4}}) {
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

// What onnxruntime makes of sums and of int32 biases: QLinearConv's levels, and where there is a Z
// QLinearAdd's.
Tensor levels_of(const KernelCase& c, const std::vector<int32_t>& biases) {
  KernelCase plain = c;
  plain.inputs = {c.inputs[0],          c.inputs[1],          Value{},
                  Tensor::scalar(1.0f), Tensor::scalar(1.0f), c.inputs[5]};
  const Value all = reference_of(plain)[0];
  const auto sums = all.tensor().data<float>();  // below 2^24
  const auto scalar = [&](size_t i) { return c.inputs[i].tensor().to_doubles()[0]; };
  const auto scale = [&](size_t i) { return static_cast<float>(scalar(i)); };
  const auto w_scales = c.inputs[4].tensor().data<float>();
  Tensor levels = Tensor::zeros(DType::kUint8, all.tensor().dims());
  const size_t pixels = sums.size() / biases.size();
  for (size_t i = 0; i < sums.size(); ++i) {
    const size_t channel = i / pixels;
    const float step = scale(3) * w_scales[channel] / scale(6);
    const auto sum = static_cast<float>(static_cast<int64_t>(sums[i]) + biases[channel]);
    const auto bounded = [](double x) { return std::clamp(x, 0.0, 255.0); };
    double y = bounded(std::nearbyint(sum * step) + scalar(7));
    if (c.inputs.size() > 8) {
      const float a = scale(6) / scale(11), b = scale(9) / scale(11);
      const float fixed = scale(12) - std::fma(a, scale(7), b * scale(10));
      const float z = c.inputs[8].tensor().data<uint8_t>()[i];
      y = bounded(std::nearbyint(std::fma(static_cast<float>(y), a, std::fma(z, b, fixed))));
    }
    levels.data<uint8_t>()[i] = static_cast<uint8_t>(y);
  }
  return levels;
}

// 170,000 results, each rounded as onnxruntime rounds it.
TEST(Quantized, LevelsToTheBit) {
  constexpr int64_t kChannels = 32, kSide = 30;
  const Dims x = {1, kChannels, kSide, kSide};
  const std::tuple<const cpu::Family*, int64_t, bool> cases[] = {
      {&cpu::kQuantizedConv, 1, false},     {&cpu::kQuantizedConv, 1, true},
      {&cpu::kQuantizedWinograd, 1, false}, {&cpu::kQuantizedWinograd, 1, true},
      {&cpu::kQuantizedConv, 4, true},      {&cpu::kQuantizedDepthwise, kChannels, false}};
  for (const auto& [family, group, adds] : cases) {
    KernelCase c;
    c.name = cat(family->name, " ", group, " ", adds);
    c.op = "QuantizedConv";
    c.domain = "treadle";
    c.attributes = {{"pads", std::vector<int64_t>{1, 1, 1, 1}}, {"group", group}};
    // Of sevenths and thirds of ten, so that many results lie halfway but for their rounding.
    const float x_scale = 0.49f;
    std::vector<int32_t> counts;
    std::vector<float> w_scales, biases;
    for (int32_t i = 0; i < kChannels; ++i) {
      w_scales.push_back((i % 2 == 0 ? 2.0f : 1.0f) * static_cast<float>(std::sqrt(group)) / 32);
      counts.push_back(i * 197 - 3000);
      biases.push_back(static_cast<float>(counts.back()) * (x_scale * w_scales.back()));
    }
    c.inputs = {bytes(DType::kUint8, x, 1),
                random_tensor(DType::kInt8, {kChannels, kChannels / group, 3, 3}, 2, -3, 3),
                f32({kChannels}, biases),
                Tensor::scalar(x_scale),
                f32({kChannels}, w_scales),
                zero(DType::kUint8, 3),
                Tensor::scalar(0.7f),
                zero(DType::kUint8, 117)};
    if (adds) {
      for (const Value& v :
           {Value(bytes(DType::kUint8, x, 7)), Value(Tensor::scalar(0.3f)),
            zero(DType::kUint8, 121), Value(Tensor::scalar(1.0f)), zero(DType::kUint8, 113)})
        c.inputs.push_back(v);
    }
    c.constants = {1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12};
    c.want = {levels_of(c, counts)};
    c.rtol = c.atol = 0;
    check_by_each(*family, c);
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

}  // namespace
}  // namespace treadle::test

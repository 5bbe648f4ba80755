// The native depthwise convolution of bytes against the reference, by every instruction set.
#include "backends/cpu/native/quantized_depthwise.h"

#include "backends/cpu/native/quantized.h"
#include "backends/cpu/simd/simd.h"
#include "tests/support/kernel_check.h"

namespace treadle::test {
namespace {

struct Shape2d {
  int64_t batch, channels, height, width, kernel, stride;
};

Tensor bytes(DType dtype, Dims dims, uint64_t seed) {
  return dtype == DType::kInt8 ? random_tensor(dtype, std::move(dims), seed, -128, 127)
                               : random_tensor(dtype, std::move(dims), seed, 0, 255);
}
Value zero(DType dtype, int64_t value) {
  return dtype == DType::kInt8 ? Value(Tensor::scalar(static_cast<int8_t>(value)))
                               : Value(Tensor::scalar(static_cast<uint8_t>(value)));
}

// Scales are powers of two, so that every family rounds the same numbers.
KernelCase depthwise(const Shape2d& s, DType in, DType out) {
  const int64_t pad = s.kernel / 2;
  std::vector<float> scales, biases;
  for (int64_t c = 0; c < s.channels; ++c) {
    scales.push_back(c % 2 == 0 ? 0.25f : 0.0625f);
    biases.push_back(static_cast<float>(c * 7 % 300 - 150));
  }
  return {.name = cat("c", s.channels, " ", s.height, "x", s.width, " k", s.kernel, "s", s.stride,
                      dtype_name(in), dtype_name(out)),
          .op = "QuantizedConv",
          .attributes = {{"group", s.channels},
                         {"strides", std::vector<int64_t>{s.stride, s.stride}},
                         {"pads", std::vector<int64_t>{pad, pad, pad, pad}}},
          .inputs = {bytes(in, {s.batch, s.channels, s.height, s.width}, 1),
                     bytes(DType::kInt8, {s.channels, 1, s.kernel, s.kernel}, 2),
                     f32({s.channels}, biases), Tensor::scalar(0.5f), f32({s.channels}, scales),
                     zero(in, 77), Tensor::scalar(64.0f), zero(out, 5)},
          .constants = {1, 2, 3, 4, 5, 6, 7},
          .domain = "treadle",
          .rtol = 0,
          .atol = 0};
}

void check_by_each(const KernelCase& c) {
  for (const std::string& target : cpu::simd_targets()) {
    SCOPED_TRACE(target);
    cpu::set_simd_target(target);
    check_kernel(cpu::kQuantizedDepthwise, c);
  }
  cpu::set_simd_target("");
}

TEST(QuantizedDepthwise, Shapes) {
  for (const int64_t kernel : {3, 5, 7}) {
    for (const int64_t stride : {1, 2}) {
      if (kernel == 7 && stride == 2) continue;
      for (const int64_t channels : {16, 24, 32, 37, 64, 116, 144}) {
        for (const int64_t width : {1, 7, 10, 14, 19})
          check_by_each(
              depthwise({1, channels, 6, width, kernel, stride}, DType::kUint8, DType::kUint8));
      }
    }
  }
}

TEST(QuantizedDepthwise, Types) {
  for (const DType in : {DType::kUint8, DType::kInt8}) {
    for (const DType out : {DType::kUint8, DType::kInt8})
      check_by_each(depthwise({2, 50, 5, 16, 3, 1}, in, out));
  }
}

TEST(QuantizedDepthwise, SameAsOtherConvolutions) {
  KernelCase c = depthwise({1, 80, 9, 9, 3, 2}, DType::kUint8, DType::kInt8);
  c.inputs[7] = zero(DType::kInt8, 6);  // even: it adds this before it rounds
  if (reason(cpu::kQuantizedConv, c) == "no vectors")
    GTEST_SKIP() << "products of bytes need vectors";
  c.want = {CompiledCase(cpu::kQuantizedConv, c, 1).run()[0]};
  check_by_each(c);
}

TEST(QuantizedDepthwise, PadsAndNoParameters) {
  KernelCase c = depthwise({3, 41, 11, 12, 3, 2}, DType::kUint8, DType::kUint8);
  c.attributes.set("pads", std::vector<int64_t>{0, 2, 3, 1});
  check_by_each(c);
  c.inputs[2] = c.inputs[5] = c.inputs[7] = Value{};
  c.inputs[4] = Tensor::scalar(0.125f);
  check_by_each(c);
}

TEST(QuantizedDepthwise, Saturates) {
  for (const DType out : {DType::kUint8, DType::kInt8}) {
    KernelCase c = depthwise({1, 32, 4, 8, 3, 1}, DType::kInt8, out);
    c.inputs[6] = Tensor::scalar(1.0f / 2048);
    check_by_each(c);
    c.inputs[6] = Tensor::scalar(1e-30f);
    EXPECT_EQ(compare_kernel(cpu::kQuantizedDepthwise, c), "levels beyond what an integer holds");
  }
}

TEST(QuantizedDepthwise, Reasons) {
  KernelCase c = depthwise({1, 15, 9, 9, 3, 1}, DType::kUint8, DType::kUint8);
  EXPECT_EQ(reason(cpu::kQuantizedDepthwise, c), "few channels");
  c = depthwise({1, 32, 9, 9, 3, 1}, DType::kUint8, DType::kUint8);
  c.inputs[6] = Tensor::scalar(0.0f);
  EXPECT_EQ(compare_kernel(cpu::kQuantizedDepthwise, c), "levels beyond what an integer holds");
  c.constants = {1, 2, 4};
  EXPECT_EQ(reason(cpu::kQuantizedDepthwise, c), "parameters of the run");
  c.inputs.resize(6);
  c.constants = {1, 2, 3, 4, 5};
  EXPECT_EQ(reason(cpu::kQuantizedDepthwise, c), "floats");
}

}  // namespace
}  // namespace treadle::test

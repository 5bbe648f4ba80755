#include "backends/cpu/native/quantized_winograd.h"

#include <gtest/gtest.h>

#include "tests/support/byte_cases.h"

namespace treadle::test {
namespace {

// Tiles that leave the input and the output, channels that are no multiple of a vector, and sums
// that are added to; of bytes and weights at their ends too.
TEST(QuantizedWinograd, Shapes) {
  for (const auto& [channels, outputs, height, width] : {std::tuple{16, 16, 6, 8},
                                                         {18, 16, 7, 5},
                                                         {40, 96, 1, 1},
                                                         {64, 32, 3, 20},
                                                         {34, 32, 9, 13},
                                                         {32, 1, 6, 5},
                                                         {34, 48, 5, 9},
                                                         {36, 83, 10, 7},
                                                         {98, 64, 15, 8}}) {
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

KernelCase of_ends(int64_t side, const Tensor& w, const Tensor& x) {
  KernelCase c;
  c.name = cat(side);
  c.op = "QuantizedConv";
  c.attributes = {{"pads", std::vector<int64_t>{1, 1, 1, 1}}};
  c.inputs = {x, w, Value{}, scales(1, 4, 0.02), scales(1, 5, 0.01), Value{}};
  return c;
}

// All weights and bytes at their ends: what wraps around comes back.
TEST(QuantizedWinograd, GreatestSums) {
  for (const int64_t side : {3, 16}) {
    Tensor x = Tensor::zeros(DType::kUint8, {1, 1826, side, side});
    Tensor w = Tensor::zeros(DType::kInt8, {32, 1826, 3, 3});
    std::ranges::fill(x.data<uint8_t>(), uint8_t{255});
    std::ranges::fill(w.data<int8_t>(), int8_t{-128});
    check_product(cpu::kQuantizedWinograd, of_ends(side, w, x), DType::kUint8, 1000);
  }
}

// One or the other end each: elements are at their greatest somewhere.
TEST(QuantizedWinograd, GreatestElements) {
  for (const int64_t side : {4, 32}) {
    Tensor x = bytes(DType::kUint8, {1, 32, side, side}, 1);
    Tensor w = bytes(DType::kInt8, {32, 32, 3, 3}, 2);
    for (uint8_t& v : x.data<uint8_t>()) v = v < 128 ? 0 : 255;
    for (int8_t& v : w.data<int8_t>()) v = v < 0 ? -128 : 127;
    KernelCase c = of_ends(side, w, x);
    for (const int64_t middle : {0, 128, 255}) {
      c.inputs[5] = zero(DType::kUint8, middle);
      check_product(cpu::kQuantizedWinograd, c, DType::kUint8, 10);
    }
  }
}

TEST(QuantizedWinograd, TakesLargeTilesOfLargePictures) {
  if (!has_vectors()) GTEST_SKIP() << "no vectors";
  const auto name = [](int64_t side) {
    KernelCase c = of_ends(side, bytes(DType::kInt8, {32, 32, 3, 3}, 2),
                           bytes(DType::kUint8, {1, 32, side, side}, 1));
    c.domain = "treadle";
    c.constants = {1, 3, 4};
    return CompiledCase(cpu::kQuantizedWinograd, c, 1).compiled().name;
  };
  EXPECT_EQ(name(4), "native quantized winograd 2x2");
  EXPECT_EQ(name(32), "native quantized winograd 4x4");
}

}  // namespace
}  // namespace treadle::test

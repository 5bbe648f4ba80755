#include "backends/cpu/native/quantized_winograd.h"

#include <gtest/gtest.h>

#include "tests/support/byte_cases.h"

namespace treadle::test {
namespace {

// Tiles that leave the input and the output, channels that are no multiple of a vector, and sums
// that are added to; of bytes and weights at their ends too.
TEST(QuantizedWinograd, Shapes) {
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
TEST(QuantizedWinograd, GreatestSums) {
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

}  // namespace
}  // namespace treadle::test

// Operators that ONNX has removed; expected values by onnxruntime.
#include <cmath>

#include "tests/ops/runner.h"

namespace treadle::test {
namespace {

std::vector<OpCase> removed_cases() {
  const Tensor a = f32({2, 3}, {-0.04F, -0.63F, -0.7F, 0.4F, -0.14F, 0.34F});
  return {
      {.name = "plain",
       .op = "Affine",
       .attributes = {{"alpha", 2.0F}, {"beta", 0.5F}},
       .inputs = {a},
       .want = {f32({2, 3}, {0.42000002F, -0.76F, -0.9F, 1.3F, 0.22F, 1.1800001F})}},
      {.name = "plain",
       .op = "ParametricSoftplus",
       .attributes = {{"alpha", 2.0F}, {"beta", 0.5F}},
       .inputs = {a},
       .want = {f32({2, 3},
                    {1.3663943F, 1.0959988F, 1.0667644F, 1.5962778F, 1.3175191F, 1.5635108F})}},
      {.name = "plain",
       .op = "ScaledTanh",
       .attributes = {{"alpha", 2.0F}, {"beta", 0.5F}},
       .inputs = {a},
       .want = {f32({2, 3}, {-0.03999467F, -0.6099579F, -0.6727511F, 0.39475065F, -0.13977179F,
                             0.3367621F})}},
      {.name = "plain",
       .op = "Scale",
       .attributes = {{"scale", 0.25F}},
       .inputs = {a},
       .want = {f32({2, 3}, {-0.01F, -0.1575F, -0.175F, 0.1F, -0.035F, 0.085F})}},
      {.name = "plain",
       .op = "ThresholdedRelu",
       .attributes = {{"alpha", 0.25F}},
       .inputs = {a},
       .want = {f32({2, 3}, {0, 0, 0, 0.4F, 0, 0.34F})}},
      {.name = "plain",
       .op = "ImageScaler",
       .attributes = {{"scale", 0.5F}, {"bias", std::vector<float>{0.25F, -1}}},
       .inputs = {f32({1, 2, 2, 2},
                      {-0.06F, 0.01F, -0.38F, -0.15F, -0.04F, -0.32F, 0.65F, -0.51F})},
       .want = {f32({1, 2, 2, 2},
                    {0.22F, 0.255F, 0.060000002F, 0.175F, -1.02F, -1.16F, -0.675F, -1.255F})}},
      {.name = "borders",
       .op = "Crop",
       .attributes = {{"border", std::vector<int64_t>{1, 0, 2, 1}}},
       .inputs = {f32({1, 1, 4, 5}, {-0.56F, -0.31F, 0.57F, 0.7F,  0.13F,  -0.28F, 0.3F,
                                     0.65F,  -0.51F, 0.34F, 0.42F, -0.22F, -0.71F, 0.21F,
                                     -0.58F, -0.26F, 0.09F, 0.93F, -0.71F, -0.85F})},
       .want = {f32({1, 1, 3, 2}, {-0.31F, 0.57F, 0.3F, 0.65F, -0.22F, -0.71F})}},
      {.name = "size",
       .op = "Crop",
       .attributes = {{"border", std::vector<int64_t>{1, 2, 0, 0}},
                      {"scale", std::vector<int64_t>{2, 3}}},
       .inputs = {f32({1, 1, 4, 5},
                      {0.08F,  0.89F,  -0.91F, 0.28F,  -0.95F, 0.1F,  -0.76F, 0.32F,  -0.28F, 0.31F,
                       -0.48F, -0.85F, -0.64F, -0.45F, -0.67F, -0.6F, 0.09F,  -0.12F, 0.65F,  -0})},
       .want = {f32({1, 1, 2, 3}, {-0.85F, -0.64F, -0.45F, 0.09F, -0.12F, 0.65F})}},
      {.name = "plain",
       .op = "DynamicSlice",
       .inputs = {f32({3, 3}, {0.08F, 0.42F, 0.71F, 0.17F, -0.93F, -0.08F, -0.94F, 0.21F, -0.87F}),
                  i64({2}, {1, 0}), i64({2}, {3, 2})},
       .want = {f32({2, 2}, {0.17F, -0.93F, -0.94F, 0.21F})}},
      {.name = "shape",
       .op = "GivenTensorFill",
       .attributes = {{"values", std::vector<float>{1, 2, 3, 4}},
                      {"shape", std::vector<int64_t>{2, 2}}},
       .want = {f32({2, 2}, {1, 2, 3, 4})}},
      {.name = "like_input",
       .op = "GivenTensorFill",
       .attributes = {{"values", std::vector<float>{1, 2, 3, 4}},
                      {"extra_shape", std::vector<int64_t>{2}}},
       .inputs = {f32({2}, {7, 8})},
       .want = {f32({2, 2}, {1, 2, 3, 4})}},
      {.name = "shape_input",
       .op = "GivenTensorFill",
       .attributes = {{"values", std::vector<float>{1, 2}}, {"input_as_shape", int64_t{1}}},
       .inputs = {i64({2}, {1, 2})},
       .want = {f32({1, 2}, {1, 2})},
       .exact_shape = false},
  };
}

INSTANTIATE_TEST_SUITE_P(Removed, OpTest, testing::ValuesIn(removed_cases()), case_name);

}  // namespace
}  // namespace treadle::test

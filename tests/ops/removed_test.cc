// Operators that ONNX has removed; expected values by onnxruntime.
#include <cmath>

#include "tests/ops/runner.h"

namespace treadle::test {
namespace {

std::vector<OpCase> removed_cases() {
  const Tensor a = f32({2, 3}, {0.72F, -0.42F, 0.61F, -0.43F, 0.44F, -0.33F});
  return {
      {.name = "plain",
       .op = "Affine",
       .attributes = {{"alpha", 2.0F}, {"beta", 0.5F}},
       .inputs = {a},
       .want = {f32({2, 3}, {1.94F, -0.33999997F, 1.72F, -0.36F, 1.38F, -0.16000003F})}},
      {.name = "plain",
       .op = "ParametricSoftplus",
       .attributes = {{"alpha", 2.0F}, {"beta", 0.5F}},
       .inputs = {a},
       .want = {f32({2, 3}, {1.778521F, 1.1872993F, 1.714461F, 1.1828284F, 1.61837F, 1.2280929F})}},
      {.name = "plain",
       .op = "ScaledTanh",
       .attributes = {{"alpha", 2.0F}, {"beta", 0.5F}},
       .inputs = {a},
       .want = {f32({2, 3},
                    {0.6904281F, -0.41393298F, 0.5917632F, -0.4234947F, 0.4330361F, -0.3270375F})}},
      {.name = "plain",
       .op = "Scale",
       .attributes = {{"scale", 0.25F}},
       .inputs = {a},
       .want = {f32({2, 3}, {0.18F, -0.105F, 0.1525F, -0.1075F, 0.11F, -0.0825F})}},
      {.name = "plain",
       .op = "ThresholdedRelu",
       .attributes = {{"alpha", 0.25F}},
       .inputs = {a},
       .want = {f32({2, 3}, {0.72F, 0, 0.61F, 0, 0.44F, 0})}},
      {.name = "plain",
       .op = "ImageScaler",
       .attributes = {{"scale", 0.5F}, {"bias", std::vector<float>{0.25F, -1}}},
       .inputs = {f32({1, 2, 2, 2}, {0.21F, 0.85F, -0.89F, 0.61F, 0.08F, -0.24F, -0.3F, -0.86F})},
       .want = {f32({1, 2, 2, 2},
                    {0.355F, 0.675F, -0.195F, 0.555F, -0.96F, -1.12F, -1.15F, -1.4300001F})}},
      {.name = "borders",
       .op = "Crop",
       .attributes = {{"border", std::vector<int64_t>{1, 0, 2, 1}}},
       .inputs = {f32({1, 1, 4, 5},
                      {-0.48F, 0.25F, -0.8F, 0.34F, 0.92F, 0.96F, 0.78F, 0.61F,  -0.64F, 0.94F,
                       -0.59F, 0.74F, 0.76F, 0.24F, 0.04F, -0.6F, 0.04F, -0.42F, -0.75F, -0.74F})},
       .want = {f32({1, 1, 3, 2}, {0.25F, -0.8F, 0.78F, 0.61F, 0.74F, 0.76F})}},
      {.name = "size",
       .op = "Crop",
       .attributes = {{"border", std::vector<int64_t>{1, 2, 0, 0}},
                      {"scale", std::vector<int64_t>{2, 3}}},
       .inputs = {f32({1, 1, 4, 5}, {0.6F,   0.84F,  -0.72F, -0.97F, -0.47F, -0.73F, -0.62F,
                                     0.17F,  -0.16F, -0.14F, -0.59F, 0.33F,  -0.42F, -0.2F,
                                     -0.07F, 0.81F,  -0.51F, 0.44F,  -0.38F, 0.79F})},
       .want = {f32({1, 1, 2, 3}, {0.33F, -0.42F, -0.2F, -0.51F, 0.44F, -0.38F})}},
      {.name = "too_much",
       .op = "Crop",
       .attributes = {{"border", std::vector<int64_t>{1, 2, 1, 2}}},
       .inputs = {f32({1, 1, 3, 3}, {1, 2, 3, 4, 5, 6, 7, 8, 9})},
       .error = "Crop needs 4"},
      {.name = "plain",
       .op = "DynamicSlice",
       .inputs = {f32({3, 3}, {-0.21F, 0.01F, 0.75F, 0.35F, -0.81F, -0.73F, 0.98F, -0.94F, -0.4F}),
                  i64({2}, {1, 0}), i64({2}, {3, 2})},
       .want = {f32({2, 2}, {0.35F, -0.81F, 0.98F, -0.94F})}},
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

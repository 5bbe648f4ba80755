// Col2Im; expected values by onnx.reference.
#include <cmath>

#include "tests/ops/runner.h"

namespace treadle::test {
namespace {

std::vector<OpCase> col2_im_cases() {
  return {
      {.name = "overlap",
       .op = "Col2Im",
       .inputs = {f32({1, 4, 4}, {0.1F, 0.08F, 0.2F, 1.04F, -1.05F, -1.33F, 0.12F, -1.11F, -0.59F,
                                  0.09F, 0.48F, -1.07F, 0.8F, -1.77F, 0.55F, -1.58F}),
                  i64({2}, {3, 3}), i64({2}, {2, 2})},
       .want = {f32({1, 1, 3, 3}, {0.1F, -0.96999997F, -1.33F, -0.39F, 2.05F, -2.88F, 0.48F,
                                   -0.52000004F, -1.58F})},
       .rtol = 1e-05,
       .atol = 1e-05},
      {.name = "options",
       .op = "Col2Im",
       .attributes = {{"strides", std::vector<int64_t>{3, 3}},
                      {"pads", std::vector<int64_t>{0, 1, 0, 1}},
                      {"dilations", std::vector<int64_t>{1, 2}}},
       .inputs = {f32({2, 4, 4}, {-1.27F, 0.64F,  -0.41F, -0.8F,  -0.44F, 0.47F, -0.05F, -0.03F,
                                  1.05F,  -0.72F, -0.47F, -0.52F, 1.17F,  0.99F, 1.29F,  -0.03F,
                                  -0.16F, 0.85F,  -0.39F, 0.83F,  0.72F,  -0.7F, -0.08F, -0.12F,
                                  1.73F,  2.59F,  -0.1F,  0.01F,  -2.28F, 0.21F, -0.01F, -1.07F}),
                  i64({2}, {5, 6}), i64({2}, {1, 2})},
       .want = {f32({2, 2, 5, 6},
                    {0, -0.44F, 0.64F,  0, 0.47F,  0,      0, 0,      0, 0, 0, 0, 0, 0, 0,
                     0, 0,      0,      0, -0.05F, -0.8F,  0, -0.03F, 0, 0, 0, 0, 0, 0, 0,
                     0, 1.17F,  -0.72F, 0, 0.99F,  0,      0, 0,      0, 0, 0, 0, 0, 0, 0,
                     0, 0,      0,      0, 1.29F,  -0.52F, 0, -0.03F, 0, 0, 0, 0, 0, 0, 0,
                     0, 0.72F,  0.85F,  0, -0.7F,  0,      0, 0,      0, 0, 0, 0, 0, 0, 0,
                     0, 0,      0,      0, -0.08F, 0.83F,  0, -0.12F, 0, 0, 0, 0, 0, 0, 0,
                     0, -2.28F, 2.59F,  0, 0.21F,  0,      0, 0,      0, 0, 0, 0, 0, 0, 0,
                     0, 0,      0,      0, -0.01F, 0.01F,  0, -1.07F, 0, 0, 0, 0, 0, 0, 0})},
       .rtol = 1e-05,
       .atol = 1e-05},
      {.name = "space",
       .op = "Col2Im",
       .inputs = {i64({1, 8, 4}, {-3, 4,  -2, -2, 2, 0, 0,  -4, -4, -4, 3,  2,  -1, -5, 3, 1,
                                  -5, -4, -3, 1,  1, 2, -5, 4,  -4, -2, -1, -2, -2, -2, 0, 2}),
                  i64({3}, {2, 3, 3}), i64({3}, {2, 2, 2})},
       .want = {i64({1, 1, 2, 3, 3},
                    {-3, 6, 0, -6, -7, -9, 3, 5, 1, -5, -3, 2, -7, -8, 2, -1, -2, 2})}},
      {.name = "line",
       .op = "Col2Im",
       .inputs = {i32({1, 2, 3}, {1, 2, 3, 4, 5, 6}), i64({1}, {4}), i64({1}, {2})},
       .want = {i32({1, 1, 4}, {1, 6, 8, 6})}},
      {.name = "bools",
       .op = "Col2Im",
       .inputs = {bools({1, 2, 3}, {true, false, false, false, false, true}), i64({1}, {4}),
                  i64({1}, {2})},
       .want = {bools({1, 1, 4}, {true, false, false, true})}},
      {.name = "no_channels",
       .op = "Col2Im",
       .inputs = {f32({1, 0, int64_t{1} << 40}, {}), axes({int64_t{1} << 20, int64_t{1} << 20}),
                  axes({1, 1})},
       .want = {f32({1, 0, int64_t{1} << 20, int64_t{1} << 20}, {})}},
      {.name = "columns",
       .op = "Col2Im",
       .inputs = {f32({1, 4, 5},
                      {0.38F, 1.77F, 1.37F, 0.68F, 1.08F, 1.32F, 0.71F,  -1.23F, 0.86F,  0.07F,
                       1.62F, 0.09F, 0.53F, 0.33F, 1.68F, 0.18F, -0.27F, 0.31F,  -0.44F, 0.16F}),
                  i64({2}, {3, 3}), i64({2}, {2, 2})},
       .error = "5 columns"},
      {.name = "channels",
       .op = "Col2Im",
       .inputs = {f32({1, 3, 4}, {-0.01F, 0.27F, 1.92F, -0.41F, 0.04F, -0.2F, 0.67F, -1.18F, -0.69F,
                                  -0.04F, 0.55F, -0.05F}),
                  i64({2}, {3, 3}), i64({2}, {2, 2})},
       .error = "no multiple"},
      {.name = "ranks",
       .op = "Col2Im",
       .inputs = {f32({1, 4, 4}, {-0.5F, -0.87F, 0.51F, 1.44F, 0.32F, 0.19F, 0.44F, -0.94F, -0.31F,
                                  -0.27F, 0.3F, -0.03F, -1.22F, 1.13F, 1.69F, -0.26F}),
                  i64({2}, {3, 3}), i64({1}, {2})},
       .error = "block_shape"},
  };
}

INSTANTIATE_TEST_SUITE_P(Col2Im, OpTest, testing::ValuesIn(col2_im_cases()), case_name);

}  // namespace
}  // namespace treadle::test

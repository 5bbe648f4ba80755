// Det; expected values by NumPy.
#include <cmath>

#include "tests/ops/runner.h"

namespace treadle::test {
namespace {

std::vector<OpCase> det_cases() {
  return {
      {.name = "order_0",
       .op = "Det",
       .inputs = {f32({2, 0, 0}, {})},
       .want = {f32({2}, {1, 1})},
       .rtol = 0.0001,
       .atol = 1e-05},
      {.name = "order_1",
       .op = "Det",
       .inputs = {f32({2, 1, 1}, {0.66F, -0.04F})},
       .want = {f32({2}, {0.66F, -0.04F})},
       .rtol = 0.0001,
       .atol = 1e-05},
      {.name = "order_2",
       .op = "Det",
       .inputs = {f32({2, 2, 2}, {-1.14F, -0.86F, 0.79F, 1, 1.25F, 0.98F, 0.93F, -0.41F})},
       .want = {f32({2}, {-0.46059996F, -1.4239F})},
       .rtol = 0.0001,
       .atol = 1e-05},
      {.name = "order_3",
       .op = "Det",
       .inputs = {f32({2, 3, 3},
                      {-1.18F, 0.23F, 0.52F, 0.11F, -1.5F, -0.5F, -1.45F, 0.17F, -1.03F, -0.14F,
                       0.35F, 0.16F, 1.39F, -1.08F, -2.16F, 0.97F, 1.43F, 1.46F})},
       .want = {f32({2}, {-2.851867F, -1.1696421F})},
       .rtol = 0.0001,
       .atol = 1e-05},
      {.name = "order_4",
       .op = "Det",
       .inputs = {f32({2, 4, 4}, {0.31F,  0.57F,  0.15F,  -1.27F, -0.54F, 0.53F,  -0.55F, 1.94F,
                                  -1.51F, -0.4F,  1.14F,  -0.58F, -1.1F,  -1.33F, -0.7F,  1.54F,
                                  0.44F,  0.55F,  -0.49F, 0.88F,  0.14F,  -0.89F, -0.42F, 0.24F,
                                  1.2F,   -0.03F, 0.53F,  2.05F,  -0.77F, -1.21F, 1.02F,  0.47F})},
       .want = {f32({2}, {-3.2241292F, -2.155723F})},
       .rtol = 0.0001,
       .atol = 1e-05},
      {.name = "scalar",
       .op = "Det",
       .inputs = {f64({3, 3}, {-0.06, 0.3, -0.3, 0.55, -0.3, 0.83, -1.14, -0.78, 0.15})},
       .want = {f64({}, {-0.11345399999999999})},
       .rtol = 1e-10,
       .atol = 1e-10},
      {.name = "singular",
       .op = "Det",
       .inputs = {f32({2, 2}, {1, 2, 2, 4})},
       .want = {f32({}, {0})}},
      {.name = "none", .op = "Det", .inputs = {f32({0, 2, 2}, {})}, .want = {f32({0}, {})}},
      {.name = "none_of_any_order",
       .op = "Det",
       .inputs = {f32({0, 1 << 30, 1 << 30}, {})},
       .want = {f32({0}, {})}},
      {.name = "oblong",
       .op = "Det",
       .inputs = {f32({2, 3}, {-0.43F, 0.73F, -0.01F, -0.51F, 0.25F, -0.49F})},
       .error = "square"},
  };
}

INSTANTIATE_TEST_SUITE_P(Det, OpTest, testing::ValuesIn(det_cases()), case_name);

}  // namespace
}  // namespace treadle::test

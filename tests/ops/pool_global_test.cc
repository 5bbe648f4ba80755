// Global pools and MaxUnpool; expected values by onnxruntime.
#include <cmath>

#include "tests/ops/runner.h"

namespace treadle::test {
namespace {

std::vector<OpCase> global_pool_cases() {
  return {
      {.name = "average",
       .op = "GlobalAveragePool",
       .inputs = {f32({2, 2, 2, 3},
                      {3, 10, 6, 2, 9, 5, 1, 8, 4, 0, 7, 3, 10, 6, 2, 9, 5, 1, 8, 4, 0, 7, 3, 10})},
       .want = {f32({2, 2, 1, 1}, {5.83333349F, 3.83333325F, 5.5F, 5.33333349F})}},
      {.name = "maximum",
       .op = "GlobalMaxPool",
       .inputs = {f32({2, 2, 2, 3},
                      {3, 10, 6, 2, 9, 5, 1, 8, 4, 0, 7, 3, 10, 6, 2, 9, 5, 1, 8, 4, 0, 7, 3, 10})},
       .want = {f32({2, 2, 1, 1}, {10, 8, 10, 10})}},
      {.name = "lp",
       .op = "GlobalLpPool",
       .inputs = {f32({2, 2, 2, 3},
                      {3, 10, 6, 2, 9, 5, 1, 8, 4, 0, 7, 3, 10, 6, 2, 9, 5, 1, 8, 4, 0, 7, 3, 10})},
       .want = {f32({2, 2, 1, 1}, {15.9687195F, 11.7898264F, 15.7162333F, 15.427249F})}},
      {.name = "average_rank1",
       .op = "GlobalAveragePool",
       .inputs = {f32({1, 2, 3}, {0, 1, 2, 3, 4, 5})},
       .want = {f32({1, 2, 1}, {1, 4})}},
      {.name = "maximum_negative",
       .op = "GlobalMaxPool",
       .inputs = {f32({1, 1, 3}, {-3, -1, -2})},
       .want = {f32({1, 1, 1}, {-1})}},
      {.name = "maximum_nan",
       .op = "GlobalMaxPool",
       .inputs = {f32({1, 2, 3}, {3, NAN, 2, -INFINITY, -INFINITY, -INFINITY})},
       .want = {f32({1, 2, 1}, {NAN, -INFINITY})}},
      {.name = "average_of_nothing",
       .op = "GlobalAveragePool",
       .inputs = {f32({1, 2, 0}, {})},
       .want = {f32({1, 2, 1}, {NAN, NAN})}},
  };
}

std::vector<OpCase> max_unpool_cases() {
  return {
      {.name = "plain",
       .op = "MaxUnpool",
       .attributes = {{"kernel_shape", std::vector<int64_t>{2, 2}},
                      {"strides", std::vector<int64_t>{2, 2}}},
       .inputs = {f32({1, 1, 2, 2}, {1, 2, 3, 4}), i64({1, 1, 2, 2}, {5, 7, 13, 15})},
       .want = {f32({1, 1, 4, 4}, {0, 0, 0, 0, 0, 1, 0, 2, 0, 0, 0, 0, 0, 3, 0, 4})}},
      {.name = "output_shape",
       .op = "MaxUnpool",
       .attributes = {{"kernel_shape", std::vector<int64_t>{2, 2}},
                      {"strides", std::vector<int64_t>{2, 2}}},
       .inputs = {f32({1, 1, 2, 2}, {5, 6, 7, 8}), i64({1, 1, 2, 2}, {5, 7, 13, 15}),
                  i64({4}, {1, 1, 5, 5})},
       .want = {f32({1, 1, 5, 5},
                    {0, 0, 0, 0, 0, 0, 5, 0, 6, 0, 0, 0, 0, 0, 0, 0, 7, 0, 8, 0, 0, 0, 0, 0, 0})}},
      {.name = "index",
       .op = "MaxUnpool",
       .attributes = {{"kernel_shape", std::vector<int64_t>{2}},
                      {"strides", std::vector<int64_t>{2}}},
       .inputs = {f32({1, 1, 1}, {5}), i64({1, 1, 1}, {9})},
       .error = "index 9 is out of range"},
      {.name = "huge_output_shape",
       .op = "MaxUnpool",
       .attributes = {{"kernel_shape", std::vector<int64_t>{2, 2}}},
       .inputs = {f32({1, 1, 1, 1}, {5}), i64({1, 1, 1, 1}, {0}),
                  i64({4}, {1, 1, int64_t{1} << 40, int64_t{1} << 40})},
       .error = "size overflows"},
  };
}

INSTANTIATE_TEST_SUITE_P(GlobalPool, OpTest, testing::ValuesIn(global_pool_cases()), case_name);
INSTANTIATE_TEST_SUITE_P(MaxUnpool, OpTest, testing::ValuesIn(max_unpool_cases()), case_name);

}  // namespace
}  // namespace treadle::test

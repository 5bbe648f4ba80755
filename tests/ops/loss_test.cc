#include <cmath>

#include "tests/ops/runner.h"

namespace treadle::test {
namespace {

std::vector<OpCase> cases() {
  return {
      {.name = "mean",
       .op = "NegativeLogLikelihoodLoss",
       .inputs = {f32({2, 3}, {-1, -2, -0.5f, -0.1f, -3, -0.7f}), i64({2}, {1, 2})},
       .want = {f32({}, {1.35f})}},
      {.name = "none_weighted",
       .op = "NegativeLogLikelihoodLoss",
       .attributes = {{"reduction", "none"}},
       .inputs = {f32({2, 3}, {-1, -2, -0.5f, -0.1f, -3, -0.7f}), i64({2}, {1, 2}),
                  f32({3}, {1, 0.5f, 2})},
       .want = {f32({2}, {1, 1.4f})}},
      {.name = "mean_weighted",
       .op = "NegativeLogLikelihoodLoss",
       .inputs = {f32({2, 3}, {-1, -2, -0.5f, -0.1f, -3, -0.7f}), i64({2}, {1, 2}),
                  f32({3}, {1, 0.5f, 2})},
       .want = {f32({}, {0.96f})}},
      {.name = "ignored",
       .op = "NegativeLogLikelihoodLoss",
       .attributes = {{"ignore_index", int64_t{-1}}},
       .inputs = {f32({2, 3}, {-1, -2, -0.5f, -0.1f, -3, -0.7f}), i64({2}, {-1, 2})},
       .want = {f32({}, {0.7f})}},
      {.name = "rank3_sum",
       .op = "NegativeLogLikelihoodLoss",
       .attributes = {{"reduction", "sum"}},
       .inputs = {f32({1, 2, 2}, {-1, -2, -3, -4}), i32({1, 2}, {1, 0})},
       .want = {f32({}, {5})}},
      {.name = "target_outside",
       .op = "NegativeLogLikelihoodLoss",
       .inputs = {f32({2, 3}, {-1, -2, -0.5f, -0.1f, -3, -0.7f}), i64({2}, {1, 3})},
       .error = "target 3 of 3 classes"},
      {.name = "bad_reduction",
       .op = "NegativeLogLikelihoodLoss",
       .attributes = {{"reduction", "max"}},
       .inputs = {f32({2, 3}, {-1, -2, -0.5f, -0.1f, -3, -0.7f}), i64({2}, {1, 2})},
       .error = "expected none, mean or sum"},
      {.name = "mean_with_log_prob",
       .op = "SoftmaxCrossEntropyLoss",
       .inputs = {f32({2, 3}, {1, 2, 3, 1, 1, 1}), i64({2}, {2, 0})},
       .want = {f32({}, {0.7531091f}), f32({2, 3}, {-2.407606f, -1.4076059f, -0.4076059f,
                                                    -1.0986123f, -1.0986123f, -1.0986123f})}},
      {.name = "none",
       .op = "SoftmaxCrossEntropyLoss",
       .attributes = {{"reduction", "none"}},
       .inputs = {f32({2, 3}, {1, 2, 3, 1, 1, 1}), i64({2}, {2, 0})},
       .want = {f32({2}, {0.4076059f, 1.0986123f})}},
      {.name = "double_large",
       .op = "SoftmaxCrossEntropyLoss",
       .attributes = {{"reduction", "sum"}},
       .inputs = {f64({1, 2}, {1e+03, 0}), i64({1}, {1})},
       .want = {f64({}, {1e+03})}},
      {.name = "half",
       .op = "SoftmaxCrossEntropyLoss",
       .inputs = {f16({1, 2}, {1, 1}), i64({1}, {1})},
       .want = {f16({}, {0.6928711f})},
       .rtol = 0.001},
      {.name = "float",
       .op = "SwiGLU",
       .attributes = {{"alpha", 2.0f}},
       .inputs = {f32({3}, {-1, 0, 2}), f32({3}, {3, 1, 0.5f})},
       .want = {f32({3}, {-0.35760877f, 0, 0.98201376f})}},
  };
}

INSTANTIATE_TEST_SUITE_P(Loss, OpTest, testing::ValuesIn(cases()), case_name);

}  // namespace
}  // namespace treadle::test

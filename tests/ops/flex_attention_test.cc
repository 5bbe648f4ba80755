// FlexAttention with and without bodies; expected values by NumPy.
#include "graph/ops/op.h"
#include "graph/text.h"
#include "tests/ops/runner.h"
#include "tests/support/ways.h"

namespace treadle::test {
namespace {

const Tensor kQ = f32({1, 2, 2, 3}, {-0.8F, -1.32F, -0.25F, 0.42F, 1.14F, 0.11F, -0.55F, -0.78F,
                                     0.75F, 1.63F, 0.27F, -1.23F});
const Tensor kK =
    f32({1, 1, 3, 3}, {-0.96F, 1.6F, 0.2F, -1.73F, -0.08F, -1.16F, -0.63F, -0.49F, -0.71F});
const Tensor kV = f32({1, 1, 3, 2}, {0.55F, -0.06F, -0.59F, 0.41F, 0.83F, -1.64F});

TEST(FlexAttention, SharesHeadsOfKeys) {
  const Graph graph = parse(R"(g (float[1, 2, 2, 3] q, float[1, 1, k, 3] k, float[1, 1, k, 2] v)
      => (float[1, 2, 2, 2] y) { y = ai.onnx.preview.FlexAttention (q, k, v) })");
  const Tensor want = f32({1, 2, 2, 2}, {0.071292534F, -0.44721365F, 0.4077761F, -0.25191772F,
                                         0.23382537F, -0.49018693F, 0.3970141F, -0.71022695F});
  expect_same(evaluate(graph, {kQ, kK, kV}), {want}, {1e-4, 1e-5}, "reference");
  expect_same_everywhere(graph, {kQ, kK, kV}, {want}, {1e-4, 1e-5});
}

constexpr const char* kModified = R"(g (float[1, 2, 2, 3] q, float[1, 1, k, 3] k,
    float[1, 1, k, 2] v, float[k] bias) => (float[1, 2, 2, 2] y) {
  y = ai.onnx.preview.FlexAttention (q, k, v) <
    score_mod = s (float[1, 2, 2, k] x) => (float[1, 2, 2, k] z) { z = Add (x, bias) },
    prob_mod = p (float[1, 2, 2, k] x) => (float[1, 2, 2, k] z) { z = Add (x, x) }>
})";

TEST(FlexAttention, PassesScoresAndProbabilitiesThroughBodies) {
  const Graph graph = parse(kModified);
  const std::vector<Value> inputs{kQ, kK, kV, f32({3}, {0, -1, 2})};
  const Tensor want = f32({1, 2, 2, 2}, {1.4776812F, -2.9563053F, 1.385777F, -2.100725F, 1.4962629F,
                                         -2.863503F, 1.556159F, -2.9758663F});
  expect_same(evaluate(graph, inputs), {want}, {1e-4, 1e-5}, "reference");
  expect_same_everywhere(graph, inputs, {want}, {1e-4, 1e-5});
}

TEST(FlexAttention, RefusesABodyThatChangesTheShape) {
  const Graph graph = parse(R"(g (float[1, 1, 2, 3] q) => (float[1, 1, 2, 3] y) {
    y = ai.onnx.preview.FlexAttention (q, q, q) <
      score_mod = s (float[1, 1, 2, 2] x) => (float[2, 2, 1, 1] z) { z = Transpose (x) }>
  })");
  try {
    evaluate(graph, {random_tensor(DType::kFloat, {1, 1, 2, 3}, 1)});
    ADD_FAILURE() << "no error";
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("score_mod gave"), std::string::npos) << e.what();
  }
}

std::vector<OpCase> flex_attention_cases() {
  return {
      {.name = "half",
       .op = "FlexAttention",
       .domain = "ai.onnx.preview",
       .inputs = {f16({1, 1, 1, 1}, {1}), f16({1, 1, 2, 1}, {0, 0}), f16({1, 1, 2, 1}, {1, 2})},
       .want = {f16({1, 1, 1, 1}, {1.5F})}},
      {.name = "double_scale",
       .op = "FlexAttention",
       .domain = "ai.onnx.preview",
       .attributes = {{"scale", 0.0F}},
       .inputs = {f64({1, 1, 1, 1}, {5}), f64({1, 1, 2, 1}, {7, 9}), f64({1, 1, 2, 1}, {1, 2})},
       .want = {f64({1, 1, 1, 1}, {1.5})}},
      {.name = "no_queries",
       .op = "FlexAttention",
       .domain = "ai.onnx.preview",
       .inputs = {f32({1, 1, 0, 1}, {}), f32({1, 1, 2, 1}, {7, 9}), f32({1, 1, 2, 1}, {1, 2})},
       .want = {f32({1, 1, 0, 1}, {})}},
      {.name = "no_queries_of_many",
       .op = "FlexAttention",
       .domain = "ai.onnx.preview",
       .inputs = {f32({int64_t{1} << 50, 1, 0, 1}, {}), f32({int64_t{1} << 50, 1, 0, 1}, {}),
                  f32({int64_t{1} << 50, 1, 0, 1}, {})},
       .want = {f32({int64_t{1} << 50, 1, 0, 1}, {})}},
      {.name = "heads",
       .op = "FlexAttention",
       .domain = "ai.onnx.preview",
       .inputs = {f32({1, 3, 1, 1}, {1, 2, 3}), f32({1, 2, 1, 1}, {1, 2}),
                  f32({1, 2, 1, 1}, {1, 2})},
       .error = "do not fit"},
  };
}

INSTANTIATE_TEST_SUITE_P(FlexAttention, OpTest, testing::ValuesIn(flex_attention_cases()),
                         case_name);

}  // namespace
}  // namespace treadle::test

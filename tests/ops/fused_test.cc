#include <algorithm>
#include <cmath>

#include "graph/builder.h"
#include "tests/ops/one_node.h"
#include "tests/ops/runner.h"
#include "tests/support/ways.h"

namespace treadle::test {
namespace {

// out0 = Relu(a + b), out1 = a * b.
OpBody relu_sum_and_product() {
  auto graph = std::make_shared<Graph>();
  Builder b(*graph);
  const ValueId x = graph->add_input("a", Type::tensor(DType::kFloat));
  const ValueId y = graph->add_input("b", Type::tensor(DType::kFloat));
  graph->add_output("sum", b.op("Relu", {b.op("Add", {x, y})}));
  graph->add_output("product", b.op("Mul", {x, y}));
  return {"body", graph, {}};
}

OpCase activated(const std::string& activation, float alpha, float beta,
                 const std::vector<float>& want) {
  return {.name = activation,
          .op = "FusedMatMul",
          .domain = "treadle",
          .attributes = {{"activation", activation},
                         {"activation_alpha", alpha},
                         {"activation_beta", beta}},
          .inputs = {f32({3, 1}, {-2, 0.5f, 4}), f32({1, 1}, {1})},
          .want = {f32({3, 1}, want)}};
}

// 32 bytes in a row.
std::vector<uint8_t> levels(int first, int step) {
  std::vector<uint8_t> bytes;
  for (int i = 0; i < 32; ++i) bytes.push_back(static_cast<uint8_t>(first + i * step));
  return bytes;
}

std::vector<float> repeated(const std::vector<float>& values, int times) {
  std::vector<float> all;
  for (int i = 0; i < times; ++i) all.insert(all.end(), values.begin(), values.end());
  return all;
}
Tensor filled(Dims dims, float value) {
  Tensor t(DType::kFloat, std::move(dims));
  std::ranges::fill(t.data<float>(), value);
  return t;
}

std::vector<OpCase> cases() {
  const Tensor a = f32({2, 2}, {1, -2, 3, 4});
  const Tensor b = f32({2, 2}, {1, 2, -1, 1});
  return {
      {.name = "bias_residual_relu",
       .op = "FusedConv",
       .domain = "treadle",
       .attributes = {{"activation", "Relu"}, {"pads", std::vector<int64_t>{1, 1}}},
       .inputs = {f32({1, 1, 3}, {1, -2, 3}), f32({1, 1, 3}, {1, 0, 1}), f32({1}, {0.5f}),
                  f32({1, 1, 3}, {1, -10, 0})},
       .want = {f32({1, 1, 3}, {0, 0, 0})}},
      {.name = "plain",
       .op = "FusedConv",
       .domain = "treadle",
       .inputs = {f32({1, 1, 3}, {1, -2, 3}), f32({1, 1, 1}, {2})},
       .want = {f32({1, 1, 3}, {2, -4, 6})}},
      {.name = "residual_without_bias",
       .op = "FusedConv",
       .domain = "treadle",
       .inputs = {f32({1, 1, 2}, {1, -2}), f32({1, 1, 1}, {2}), Value{}, f32({1, 1, 2}, {10, 20})},
       .want = {f32({1, 1, 2}, {12, 16})}},
      {.name = "unknown_activation",
       .op = "FusedConv",
       .domain = "treadle",
       .attributes = {{"activation", "Nothing"}},
       .inputs = {f32({1, 1, 1}, {1}), f32({1, 1, 1}, {2})},
       .error = "unknown activation 'Nothing'"},
      {.name = "expanded",  // to 1 + 2 x, of windows within the image
       .op = "ExpandedDepthwise",
       .domain = "treadle",
       .attributes = {{"group", int64_t{16}},
                      {"pads", std::vector<int64_t>{1, 1, 1, 1}},
                      {"expand_activation", "Relu"},
                      {"activation", "Clip"},
                      {"activation_beta", 100.0F}},
       .inputs = {f32({1, 1, 1, 4}, {1, -2, 3, 50}), filled({16, 1, 1, 1}, 2), filled({16}, 1),
                  filled({16, 1, 3, 3}, 1), filled({16}, -4)},
       .want = {f32({1, 16, 1, 4}, repeated({0, 6, 100, 100}, 16))}},
      {.name = "expanded_by_other_channels",
       .op = "ExpandedDepthwise",
       .domain = "treadle",
       .attributes = {{"group", int64_t{16}}},
       .inputs = {f32({1, 1, 1, 4}, {1, -2, 3, 50}), filled({15, 1, 1, 1}, 2), Value{},
                  filled({16, 1, 1, 1}, 1)},
       .error = "channels"},
      {.name = "clip",
       .op = "FusedGemm",
       .domain = "treadle",
       .attributes = {{"alpha", 2.0f},
                      {"transB", int64_t{1}},
                      {"activation", "Clip"},
                      {"activation_alpha", -5.0f},
                      {"activation_beta", 6.0f}},
       .inputs = {a, b, f32({2}, {1, 2}), f32({2, 2}, {0, 0, 100, 0})},
       .want = {f32({2, 2}, {-5, -4, 6, 4})}},
      {.name = "transposed_scaled",
       .op = "FusedMatMul",
       .domain = "treadle",
       .attributes = {{"alpha", 0.5f}, {"transA", int64_t{1}}, {"transB", int64_t{1}}},
       .inputs = {f32({1, 2, 2}, {1, -2, 3, 4}), f32({2, 1, 2}, {1, 2, -1, 1}), f32({1}, {1})},
       .want = {f32({2, 2, 1}, {4.5f, 4, 2, 4})}},
      {.name = "half",
       .op = "FusedMatMul",
       .domain = "treadle",
       .attributes = {{"activation", "Relu"}},
       .inputs = {f16({1, 2}, {1, 2}), f16({2, 2}, {1, -1, 2, -2})},
       .want = {f16({1, 2}, {5, 0})}},
      {.name = "infinity_stays_where_no_bound_is",
       .op = "FusedMatMul",
       .domain = "treadle",
       .attributes = {{"activation", "Clip"},
                      {"activation_alpha", 0.0F},
                      {"activation_beta", INFINITY}},
       .inputs = {f32({3, 1}, {-INFINITY, 1, INFINITY}), f32({1, 1}, {1})},
       .want = {f32({3, 1}, {0, 1, INFINITY})}},
      {.name = "infinity_stays_where_no_bound_is",
       .op = "FusedConv",
       .domain = "treadle",
       .attributes = {{"activation", "Clip"},
                      {"activation_alpha", -INFINITY},
                      {"activation_beta", 1.0F}},
       .inputs = {f32({1, 1, 1, 3}, {-INFINITY, -1, INFINITY}), f32({1, 1, 1, 1}, {1})},
       .want = {f32({1, 1, 1, 3}, {-INFINITY, -1, 1})}},
      {.name = "to_integers",
       .op = "QuantizedConv",
       .domain = "treadle",
       .attributes = {{"pads", std::vector<int64_t>{1, 1}}},
       .inputs = {u8({1, 1, 3}, {3, 255, 0}), i8({2, 1, 3}, {1, 2, -3, 127, -128, 0}),
                  f32({2}, {0.5f, -1}), f32({}, {0.5f}), f32({2}, {0.25f, 2}), u8({}, {3}),
                  f32({}, {1.5f}), u8({}, {7})},
       .want = {u8({1, 2, 3}, {0, 50, 28, 6, 0, 255})}},
      {.name = "to_floats",
       .op = "QuantizedConv",
       .domain = "treadle",
       .inputs = {i8({1, 2, 2}, {3, -128, 0, 127}), i8({1, 2, 1}, {1, 2}), Value{}, f32({}, {0.5f}),
                  f32({}, {0.25f})},
       .want = {f32({1, 1, 2}, {0.375f, 15.75f})}},
      {.name = "depthwise",
       .op = "QuantizedConv",
       .domain = "treadle",
       .attributes = {{"group", int64_t{32}}, {"pads", std::vector<int64_t>{1, 1, 1, 1}}},
       .inputs = {u8({1, 32, 1, 1}, levels(0, 1)), i8({32, 1, 3, 3}, std::vector<int8_t>(288, -3)),
                  Value{}, f32({}, {0.5f}), f32({}, {0.25f}), u8({}, {40}), f32({}, {0.375f}),
                  u8({}, {200})},
       .want = {u8({1, 32, 1, 1}, levels(240, -1))}},
      {.name = "windows_of_three",
       .op = "QuantizedConv",
       .domain = "treadle",
       .attributes = {{"pads", std::vector<int64_t>{1, 1, 1, 1}}},
       .inputs = {u8({1, 16, 1, 1}, std::vector<uint8_t>(16, 43)),
                  i8({16, 16, 3, 3}, std::vector<int8_t>(2304, 2)), Value{}, f32({}, {0.5f}),
                  f32({}, {0.25f}), u8({}, {40})},
       .want = {f32({1, 16, 1, 1}, std::vector<float>(16, 12))}},
      {.name = "adds",
       .op = "QuantizedConv",
       .domain = "treadle",
       .inputs = {i8({1, 1, 2}, {3, -128}), i8({1, 1, 1}, {1}), Value{}, f32({}, {1}), f32({}, {1}),
                  Value{}, f32({}, {1}), i8({}, {0}), u8({1, 1, 2}, {4, 5}), f32({}, {2}),
                  u8({}, {1}), f32({}, {1}), u8({}, {130})},
       .want = {u8({1, 1, 2}, {139, 10})}},
      {.name = "adds_without_scale",
       .op = "QuantizedConv",
       .domain = "treadle",
       .inputs = {i8({1, 1, 2}, {3, 4}), i8({1, 1, 1}, {1}), Value{}, f32({}, {1}), f32({}, {1}),
                  Value{}, f32({}, {1}), i8({}, {0}), u8({1, 1, 2}, {4, 5})},
       .error = "Z needs y_scale, z_scale and sum_scale"},
      {.name = "turned",
       .op = "QuantizedMatMul",
       .domain = "treadle",
       .attributes = {{"transB", int64_t{1}}},
       .inputs = {u8({2, 1, 2}, {1, 255, 0, 4}), i8({2, 2}, {1, 2, -3, 127}), f32({2}, {1.5f, 0}),
                  f32({}, {0.5f}), f32({2}, {1, 0.25f}), u8({}, {1}), f32({}, {2}), i8({}, {-1})},
       .want = {i8({2, 1, 2}, {127, 127, 1, 23})}},
      {.name = "floats",
       .op = "QuantizedMatMul",
       .domain = "treadle",
       .inputs = {u8({2}, {1, 255}), i8({2, 1}, {1, -2}), Value{}, f32({}, {0.5f}), f32({}, {2})},
       .want = {f32({1}, {-509})}},
      {.name = "activation",
       .op = "QuantizedMatMul",
       .domain = "treadle",
       .attributes = {{"activation", std::string("LeakyRelu")}, {"activation_alpha", 0.25f}},
       .inputs = {u8({3, 2}, {1, 255, 2, 1, 4, 0}), i8({2, 1}, {1, -2}), Value{}, f32({}, {0.5f}),
                  f32({}, {2})},
       .want = {f32({3, 1}, {-127.25f, 0, 4})}},
      {.name = "activation_before_levels",
       .op = "QuantizedMatMul",
       .domain = "treadle",
       .attributes = {{"activation", std::string("LeakyRelu")}, {"activation_alpha", 0.25f}},
       .inputs = {u8({2}, {1, 255}), i8({2, 1}, {1, -2}), Value{}, f32({}, {0.5f}), f32({}, {2}),
                  Value{}, f32({}, {1}), i8({}, {7})},
       .want = {i8({1}, {-120})}},
      {.name = "weights_of_rank_3",
       .op = "QuantizedMatMul",
       .domain = "treadle",
       .inputs = {u8({2}, {1, 255}), i8({1, 2, 1}, {1, -2}), Value{}, f32({}, {0.5f}),
                  f32({}, {2})},
       .error = "expected a matrix of weights"},
      activated("Relu", 0, 0, {0, 0.5f, 4}),
      activated("LeakyRelu", 0.1f, 0, {-0.2f, 0.5f, 4}),
      activated("Clip", -1, 3, {-1, 0.5f, 3}),
      activated("Sigmoid", 0, 0, {0.11920292f, 0.62245933f, 0.98201379f}),
      activated("Tanh", 0, 0, {-0.96402758f, 0.46211716f, 0.9993293f}),
      activated("HardSigmoid", 0.2f, 0.5f, {0.1f, 0.6f, 1}),
      activated("HardSwish", 0, 0, {-1.0f / 3, 0.29166667f, 4}),
      activated("Swish", 1, 0, {-0.23840584f, 0.31122967f, 3.92805516f}),
      activated("Gelu", 0, 0, {-0.04550026f, 0.34573123f, 3.99987335f}),
      activated("GeluTanh", 0, 0, {-0.04540231f, 0.34571401f, 3.99992975f}),
      activated("Elu", 0.5f, 0, {-0.43233236f, 0.5f, 4}),
      {.name = "broadcast",
       .op = "FusedElementwise",
       .domain = "treadle",
       .inputs = {f32({2, 1}, {1, -5}), f32({3}, {1, 2, 3})},
       .want = {f32({2, 3}, {2, 3, 4, 0, 0, 0}), f32({2, 3}, {1, 2, 3, -5, -10, -15})},
       .bodies = {relu_sum_and_product()}},
      {.name = "update",
       .op = "GemmUpdate",
       .domain = "treadle",
       .attributes = {{"transA", int64_t{1}}},
       .inputs = {f32({2, 2}, {1, 2, 3, 4}), f32({1, 2}, {1, 2}), f32({1, 2}, {3, 4}),
                  f32({}, {0.5f}), bools({}, {true})},
       .want = {f32({2, 2}, {-0.5f, 0, 0, 0})}},
      {.name = "update_off",
       .op = "GemmUpdate",
       .domain = "treadle",
       .attributes = {{"transA", int64_t{1}}},
       .inputs = {f32({2, 2}, {1, 2, 3, 4}), f32({1, 2}, {1, NAN}), f32({1, 2}, {3, 4}),
                  f32({}, {0.5f}), bools({}, {false})},
       .want = {f32({2, 2}, {1, 2, 3, 4})}},
      {.name = "update_vectors",
       .op = "GemmUpdate",
       .domain = "treadle",
       .inputs = {f32({1, 1}, {1}), f32({1}, {1}), f32({1}, {3}), f32({}, {0.5f})},
       .error = "expected a matrix"},
      {.name = "empty",
       .op = "FusedElementwise",
       .domain = "treadle",
       .inputs = {f32({0, 3}, {}), f32({3}, {1, 2, 3})},
       .want = {f32({0, 3}, {}), f32({0, 3}, {})},
       .bodies = {relu_sum_and_product()}},
  };
}

TEST(QuantizedConv, AddsNothingLargerThanItsOutput) {
  const OneNode made = one_node(
      {.name = "larger",
       .op = "QuantizedConv",
       .domain = "treadle",
       .inputs = {i8({1, 1, 2}, {3, 4}), i8({1, 1, 1}, {1}), Value{}, f32({}, {1}), f32({}, {1}),
                  Value{}, f32({}, {1}), i8({}, {0}), u8({3, 1, 2}, {4, 5, 6, 7, 8, 9}),
                  f32({}, {2}), u8({}, {1}), f32({}, {1})}},
      Constants::kAllButFirst);
  Graph graph = made.graph;
  expect_error("[3, 1, 2]", "inference", [&] { annotate(graph); });
}

INSTANTIATE_TEST_SUITE_P(Fused, OpTest, testing::ValuesIn(cases()), case_name);

}  // namespace
}  // namespace treadle::test

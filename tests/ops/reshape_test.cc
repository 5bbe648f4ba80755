#include "graph/builder.h"
#include "tests/ops/runner.h"

namespace treadle::test {
namespace {

Tensor six() { return counting(DType::kFloat, {2, 3}); }
Tensor six_as(Dims dims) { return counting(DType::kFloat, std::move(dims)); }

std::vector<OpCase> reshape_cases() {
  return {
      {.name = "plain", .op = "Reshape", .inputs = {six(), axes({3, 2})}, .want = {six_as({3, 2})}},
      {.name = "infer_one", .op = "Reshape", .inputs = {six(), axes({-1})}, .want = {six_as({6})}},
      {.name = "copy_zero",
       .op = "Reshape",
       .inputs = {six(), axes({0, 3, 1})},
       .want = {six_as({2, 3, 1})}},
      {.name = "zero_and_infer",
       .op = "Reshape",
       .inputs = {six_as({2, 1, 3}), axes({0, -1})},
       .want = {six_as({2, 3})}},
      {.name = "empty_copy_and_infer",
       .op = "Reshape",
       .inputs = {f32({0, 3}, {}), axes({0, -1})},
       .want = {f32({0, 3}, {})}},
      {.name = "empty_copy",
       .op = "Reshape",
       .inputs = {f32({0, 3}, {}), axes({0, 5})},
       .want = {f32({0, 5}, {})}},
      {.name = "allowzero",
       .op = "Reshape",
       .attributes = {{"allowzero", int64_t{1}}},
       .inputs = {f32({0, 3}, {}), axes({5, 0})},
       .want = {f32({5, 0}, {})}},
      {.name = "to_scalar",
       .op = "Reshape",
       .inputs = {i32({1, 1}, {4}), axes({})},
       .want = {i32({}, {4})}},
      {.name = "strings",
       .op = "Reshape",
       .inputs = {text({2}, {"a", "b"}), axes({2, 1})},
       .want = {text({2, 1}, {"a", "b"})}},
      {.name = "packed",
       .op = "Reshape",
       .inputs = {packed(DType::kUint4, {3, 1}, {1, 2, 15}), axes({1, 3})},
       .want = {packed(DType::kUint4, {1, 3}, {1, 2, 15})}},
      {.name = "wrong_count",
       .op = "Reshape",
       .inputs = {six(), axes({4})},
       .error = "cannot reshape [2, 3] to [4]"},
      {.name = "indivisible",
       .op = "Reshape",
       .inputs = {six(), axes({4, -1})},
       .error = "do not divide"},
      {.name = "two_inferred",
       .op = "Reshape",
       .inputs = {six(), axes({-1, -1})},
       .error = "more than one -1"},
      {.name = "negative",
       .op = "Reshape",
       .inputs = {six(), axes({-2, -3})},
       .error = "negative dimension"},
      {.name = "zero_beyond_rank",
       .op = "Reshape",
       .inputs = {six(), axes({2, 3, 0})},
       .error = "no input dimension"},
      {.name = "allowzero_and_infer",
       .op = "Reshape",
       .attributes = {{"allowzero", int64_t{1}}},
       .inputs = {f32({0, 3}, {}), axes({-1, 0})},
       .error = "exclude each other"},
      {.name = "default_axis", .op = "Flatten", .inputs = {six_as({2, 1, 3})}, .want = {six()}},
      {.name = "axis0",
       .op = "Flatten",
       .attributes = {{"axis", int64_t{0}}},
       .inputs = {six()},
       .want = {six_as({1, 6})}},
      {.name = "axis_rank",
       .op = "Flatten",
       .attributes = {{"axis", int64_t{2}}},
       .inputs = {six()},
       .want = {six_as({6, 1})}},
      {.name = "negative_axis",
       .op = "Flatten",
       .attributes = {{"axis", int64_t{-1}}},
       .inputs = {six_as({2, 1, 3})},
       .want = {six()}},
      {.name = "scalar",
       .op = "Flatten",
       .attributes = {{"axis", int64_t{0}}},
       .inputs = {f32({}, {5})},
       .want = {f32({1, 1}, {5})}},
      {.name = "out_of_range",
       .op = "Flatten",
       .attributes = {{"axis", int64_t{3}}},
       .inputs = {six()},
       .error = "axis 3 is out of range for rank 2"},
  };
}

std::vector<OpCase> squeeze_cases() {
  return {
      {.name = "axes",
       .op = "Squeeze",
       .inputs = {six_as({1, 2, 1, 3}), axes({0})},
       .want = {six_as({2, 1, 3})}},
      {.name = "negative",
       .op = "Squeeze",
       .inputs = {six_as({1, 2, 1, 3}), axes({-2, 0})},
       .want = {six()}},
      {.name = "all", .op = "Squeeze", .inputs = {six_as({1, 2, 1, 3})}, .want = {six()}},
      {.name = "to_scalar",
       .op = "Squeeze",
       .inputs = {i64({1}, {3}), axes({0})},
       .want = {i64({}, {3})}},
      {.name = "not_one",
       .op = "Squeeze",
       .inputs = {six(), axes({0})},
       .error = "cannot squeeze axis 0 of [2, 3]"},
      {.name = "twice",
       .op = "Squeeze",
       .inputs = {six_as({1, 6}), axes({0, -2})},
       .error = "given twice"},
      {.name = "ends",
       .op = "Unsqueeze",
       .inputs = {six(), axes({0, -1})},
       .want = {six_as({1, 2, 3, 1})}},
      {.name = "unsorted",
       .op = "Unsqueeze",
       .inputs = {six(), axes({3, 1})},
       .want = {six_as({2, 1, 3, 1})}},
      {.name = "scalar",
       .op = "Unsqueeze",
       .inputs = {f32({}, {1}), axes({0})},
       .want = {f32({1}, {1})}},
      {.name = "out_of_range",
       .op = "Unsqueeze",
       .inputs = {six(), axes({3})},
       .error = "axis 3 is out of range for rank 3"},
      {.name = "twice",
       .op = "Unsqueeze",
       .inputs = {six(), axes({1, -3})},
       .error = "given twice"},
  };
}

std::vector<OpCase> shape_cases() {
  const auto with = [](std::string name, int64_t start, int64_t end, std::vector<int64_t> want) {
    return OpCase{.name = std::move(name),
                  .op = "Shape",
                  .attributes = {{"start", start}, {"end", end}},
                  .inputs = {six_as({1, 2, 3})},
                  .want = {axes(want)}};
  };
  return {
      {.name = "all", .op = "Shape", .inputs = {six()}, .want = {axes({2, 3})}},
      {.name = "scalar", .op = "Shape", .inputs = {f32({}, {1})}, .want = {axes({})}},
      {.name = "strings", .op = "Shape", .inputs = {text({0, 4}, {})}, .want = {axes({0, 4})}},
      with("middle", 1, 2, {2}),
      with("negative", -1, 3, {3}),
      with("clamped", -10, 10, {1, 2, 3}),
      with("reversed", 2, 1, {}),
      {.name = "count", .op = "Size", .inputs = {six()}, .want = {i64({}, {6})}},
      {.name = "empty", .op = "Size", .inputs = {f32({3, 0}, {})}, .want = {i64({}, {0})}},
      {.name = "both_ways",
       .op = "Expand",
       .inputs = {f32({2, 1}, {1, 2}), axes({3, 1, 2})},
       .want = {f32({3, 2, 2}, {1, 1, 2, 2, 1, 1, 2, 2, 1, 1, 2, 2})}},
      {.name = "shorter", .op = "Expand", .inputs = {six(), axes({1})}, .want = {six()}},
      {.name = "scalar_to_empty",
       .op = "Expand",
       .inputs = {f32({}, {1}), axes({0, 2})},
       .want = {f32({0, 2}, {})}},
      {.name = "strings",
       .op = "Expand",
       .inputs = {text({1}, {"x"}), axes({2})},
       .want = {text({2}, {"x", "x"})}},
      {.name = "packed",
       .op = "Expand",
       .inputs = {packed(DType::kInt4, {1, 3}, {1, 2, 3}), axes({2, 1})},
       .want = {packed(DType::kInt4, {2, 3}, {1, 2, 3, 1, 2, 3})}},
      {.name = "mismatch",
       .op = "Expand",
       .inputs = {six(), axes({1, 4, 3})},
       .error = "do not broadcast"},
      {.name = "negative",
       .op = "Expand",
       .inputs = {six(), axes({-1, 2, 3})},
       .error = "cannot expand to [-1, 2, 3]"},
  };
}

INSTANTIATE_TEST_SUITE_P(Reshape, OpTest, testing::ValuesIn(reshape_cases()), case_name);
INSTANTIATE_TEST_SUITE_P(Squeeze, OpTest, testing::ValuesIn(squeeze_cases()), case_name);
INSTANTIATE_TEST_SUITE_P(Shape, OpTest, testing::ValuesIn(shape_cases()), case_name);

// Shapes computed from shapes stay symbolic: reshape(x, concat(shape(x)[:1], [-1])).
TEST(ShapeValues, FlowThroughGatherUnsqueezeConcat) {
  Graph graph;
  const ValueId x = graph.add_input(
      "x", Type::tensor(DType::kFloat, Shape{Dim::symbol("N"), Dim::symbol("S"), 4, 8}));
  Builder b(graph);
  const ValueId shape = b.op("Shape", {x});
  const std::vector<ValueId> parts = b.add("Split", {shape, b.ints({1, 1, 2})}, {}, 3);
  const ValueId scalar = b.op("Squeeze", {parts[1], b.ints({0})});
  const ValueId again = b.op("Unsqueeze", {scalar, b.ints({0})});
  const ValueId target = b.op("Concat", {parts[0], again, b.ints({-1})}, {{"axis", int64_t{0}}});
  graph.add_output("y", b.op("Reshape", {x, target}));
  const std::vector<Known> known = infer(graph);
  const Type& y = known[graph.outputs()[0].value.index].type;
  EXPECT_EQ(y.text(), "float[N, S, 32]");
}

TEST(ShapeValues, InferredDimCancelsSymbols) {
  Graph graph;
  const Dim s = Dim::symbol("S") + Dim(1);
  const ValueId x =
      graph.add_input("x", Type::tensor(DType::kFloat, Shape{Dim::symbol("N"), s, 64}));
  Builder b(graph);
  const ValueId rows = b.op("Shape", {x}, {{"start", int64_t{1}}, {"end", int64_t{2}}});
  const ValueId target =
      b.op("Concat", {b.ints({0}), rows, b.ints({4, -1})}, {{"axis", int64_t{0}}});
  graph.add_output("y", b.op("Reshape", {x, target}));
  const std::vector<Known> known = infer(graph);
  EXPECT_EQ(known[graph.outputs()[0].value.index].type.text(), "float[N, S + 1, 4, 16]");
}

}  // namespace
}  // namespace treadle::test

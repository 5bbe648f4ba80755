#include <cmath>

#include "graph/builder.h"
#include "tests/ops/runner.h"

namespace treadle::test {
namespace {

std::vector<OpCase> cases() {
  return {
      {.name = "tensor",
       .op = "Constant",
       .attributes = {{"value", f32({2}, {1, 2})}},
       .want = {f32({2}, {1, 2})}},
      {.name = "float",
       .op = "Constant",
       .attributes = {{"value_float", 2.5F}},
       .want = {f32({}, {2.5F})}},
      {.name = "ints",
       .op = "Constant",
       .attributes = {{"value_ints", std::vector<int64_t>{1, 2}}},
       .want = {axes({1, 2})}},
      {.name = "string",
       .op = "Constant",
       .attributes = {{"value_string", std::string("a")}},
       .want = {text({}, {"a"})}},
      {.name = "none", .op = "Constant", .error = "no value"},
      {.name = "zeros",
       .op = "ConstantOfShape",
       .inputs = {axes({2, 1})},
       .want = {f32({2, 1}, {0, 0})},
       .exact_shape = false},
      {.name = "value",
       .op = "ConstantOfShape",
       .attributes = {{"value", i32({1}, {7})}},
       .inputs = {axes({3})},
       .want = {i32({3}, {7, 7, 7})},
       .exact_shape = false},
      {.name = "scalar",
       .op = "ConstantOfShape",
       .attributes = {{"value", bools({1}, {true})}},
       .inputs = {axes({})},
       .want = {bools({}, {true})},
       .exact_shape = false},
      {.name = "empty",
       .op = "ConstantOfShape",
       .inputs = {axes({0, 4})},
       .want = {f32({0, 4}, {})},
       .exact_shape = false},
      {.name = "packed",
       .op = "ConstantOfShape",
       .attributes = {{"value", packed(DType::kUint4, {1}, {5})}},
       .inputs = {axes({3})},
       .want = {packed(DType::kUint4, {3}, {5, 5, 5})},
       .exact_shape = false},
      {.name = "negative",
       .op = "ConstantOfShape",
       .inputs = {axes({-1})},
       .error = "the shape [-1] has a negative dimension"},
      {.name = "too_large",
       .op = "ConstantOfShape",
       .inputs = {axes({INT64_MAX, 2})},
       .error = "overflows"},
      {.name = "up",
       .op = "Range",
       .inputs = {i64({}, {3}), i64({}, {9}), i64({}, {3})},
       .want = {axes({3, 6})},
       .exact_shape = false},
      {.name = "down",
       .op = "Range",
       .inputs = {i32({}, {10}), i32({}, {4}), i32({}, {-2})},
       .want = {i32({3}, {10, 8, 6})},
       .exact_shape = false},
      {.name = "nothing",
       .op = "Range",
       .inputs = {i32({}, {1}), i32({}, {1}), i32({}, {1})},
       .want = {i32({0}, {})},
       .exact_shape = false},
      {.name = "float",
       .op = "Range",
       .inputs = {f32({}, {1}), f32({}, {2.1F}), f32({}, {0.5F})},
       .want = {f32({3}, {1, 1.5F, 2})},
       .exact_shape = false},
      {.name = "half",
       .op = "Range",
       .inputs = {f16({}, {2046}), f16({}, {2052}), f16({}, {1})},
       .want = {f16({6}, {2046, 2047, 2048, 2048, 2050, 2052})},
       .exact_shape = false},
      {.name = "extremes",
       .op = "Range",
       .inputs = {i64({}, {INT64_MIN}), i64({}, {INT64_MAX}), i64({}, {INT64_MAX})},
       .want = {axes({INT64_MIN, -1, INT64_MAX - 1})},
       .exact_shape = false},
      {.name = "step0",
       .op = "Range",
       .inputs = {i64({}, {0}), i64({}, {1}), i64({}, {0})},
       .error = "'delta' is 0"},
      {.name = "nan",
       .op = "Range",
       .inputs = {f32({}, {0}), f32({}, {std::nanf("")}), f32({}, {1})},
       .error = "not numbers"},
      {.name = "infinite",
       .op = "Range",
       .inputs = {f32({}, {0}), f32({}, {INFINITY}), f32({}, {1})},
       .error = "a range of"},
      {.name = "same_dtype",
       .op = "EyeLike",
       .inputs = {i32({2, 3}, {9, 9, 9, 9, 9, 9})},
       .want = {i32({2, 3}, {1, 0, 0, 0, 1, 0})}},
      {.name = "other_dtype",
       .op = "EyeLike",
       .attributes = {{"dtype", int64_t{1}}, {"k", int64_t{-1}}},
       .inputs = {i32({2, 2}, {9, 9, 9, 9})},
       .want = {f32({2, 2}, {0, 0, 1, 0})}},
      {.name = "far",
       .op = "EyeLike",
       .attributes = {{"k", INT64_MAX}},
       .inputs = {f32({1, 1}, {3})},
       .want = {f32({1, 1}, {0})}},
      {.name = "rank",
       .op = "EyeLike",
       .inputs = {f32({1}, {3})},
       .error = "has rank 1, expected 2"},
  };
}

INSTANTIATE_TEST_SUITE_P(Generate, OpTest, testing::ValuesIn(cases()), case_name);

TEST(RangeShape, OfASymbol) {
  Graph graph;
  const ValueId x = graph.add_input("x", Type::tensor(DType::kFloat, Shape{Dim::symbol("N"), 3}));
  Builder b(graph);
  const ValueId rows = b.op("Squeeze", {b.op("Shape", {x}, {{"end", int64_t{1}}})});
  const ValueId zero = b.constant(i64({}, {0}));
  const ValueId one = b.constant(i64({}, {1}));
  graph.add_output("y", b.op("Range", {zero, rows, one}));
  EXPECT_EQ(infer(graph)[graph.outputs()[0].value.index].type.text(), "int64[N]");
}

}  // namespace
}  // namespace treadle::test

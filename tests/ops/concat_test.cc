#include "tests/ops/runner.h"

namespace treadle::test {
namespace {

Attributes axis(int64_t a) { return {{"axis", a}}; }
Attributes parts(int64_t a, int64_t n) { return {{"axis", a}, {"num_outputs", n}}; }

std::vector<OpCase> concat_cases() {
  return {
      {.name = "rows",
       .op = "Concat",
       .attributes = axis(0),
       .inputs = {f32({1, 2}, {1, 2}), f32({2, 2}, {3, 4, 5, 6})},
       .want = {f32({3, 2}, {1, 2, 3, 4, 5, 6})}},
      {.name = "columns",
       .op = "Concat",
       .attributes = axis(-1),
       .inputs = {f32({2, 1}, {1, 2}), f32({2, 2}, {3, 4, 5, 6}), f32({2, 0}, {})},
       .want = {f32({2, 3}, {1, 3, 4, 2, 5, 6})}},
      {.name = "one",
       .op = "Concat",
       .attributes = axis(0),
       .inputs = {i32({1}, {1})},
       .want = {i32({1}, {1})}},
      {.name = "strings",
       .op = "Concat",
       .attributes = axis(0),
       .inputs = {text({1}, {"a"}), text({1}, {"b"})},
       .want = {text({2}, {"a", "b"})}},
      {.name = "packed",
       .op = "Concat",
       .attributes = axis(0),
       .inputs = {packed(DType::kUint4, {1}, {1}), packed(DType::kUint4, {2}, {2, 3})},
       .want = {packed(DType::kUint4, {3}, {1, 2, 3})}},
      {.name = "rank",
       .op = "Concat",
       .attributes = axis(0),
       .inputs = {f32({1}, {1}), f32({1, 1}, {1})},
       .error = "ranks 1 and 2"},
      {.name = "shape",
       .op = "Concat",
       .attributes = axis(0),
       .inputs = {f32({1, 1}, {1}), f32({1, 2}, {1, 2})},
       .error = "differ beside axis 0"},
      {.name = "scalars",
       .op = "Concat",
       .attributes = axis(0),
       .inputs = {f32({}, {1}), f32({}, {1})},
       .error = "axis 0 is out of range"},
  };
}

std::vector<OpCase> split_cases() {
  const Tensor five = counting(DType::kFloat, {5});
  return {
      {.name = "sizes",
       .op = "Split",
       .inputs = {five, axes({2, 3})},
       .want = {f32({2}, {0, 1}), f32({3}, {2, 3, 4})}},
      {.name = "zero_size",
       .op = "Split",
       .inputs = {five, axes({0, 5})},
       .want = {f32({0}, {}), five}},
      {.name = "uneven",
       .op = "Split",
       .attributes = parts(0, 2),
       .inputs = {five},
       .want = {f32({3}, {0, 1, 2}), f32({2}, {3, 4})}},
      {.name = "by_outputs",
       .op = "Split",
       .attributes = axis(1),
       .inputs = {counting(DType::kInt8, {2, 4})},
       .want = {i8({2, 2}, {0, 1, 4, 5}), i8({2, 2}, {2, 3, 6, 7})}},
      {.name = "more_parts_than_elements",
       .op = "Split",
       .attributes = parts(0, 3),
       .inputs = {f32({1}, {7})},
       .want = {f32({1}, {7}), f32({0}, {}), f32({0}, {})}},
      {.name = "unwanted_output",
       .op = "Split",
       .inputs = {five, axes({4, 1})},
       .want = {Value{}, f32({1}, {4})}},
      {.name = "packed",
       .op = "Split",
       .inputs = {packed(DType::kInt4, {3}, {1, 2, 3}), axes({1, 2})},
       .want = {packed(DType::kInt4, {1}, {1}), packed(DType::kInt4, {2}, {2, 3})}},
      {.name = "sum",
       .op = "Split",
       .inputs = {five, axes({2, 2})},
       .outputs = 2,
       .error = "[2, 2] do not add up to 5"},
      {.name = "negative",
       .op = "Split",
       .inputs = {five, axes({-1, 6})},
       .outputs = 2,
       .error = "a part of size -1"},
      {.name = "number",
       .op = "Split",
       .attributes = parts(0, 3),
       .inputs = {five},
       .outputs = 2,
       .error = "num_outputs is 3"},
  };
}

INSTANTIATE_TEST_SUITE_P(Concat, OpTest, testing::ValuesIn(concat_cases()), case_name);
INSTANTIATE_TEST_SUITE_P(Split, OpTest, testing::ValuesIn(split_cases()), case_name);

}  // namespace
}  // namespace treadle::test

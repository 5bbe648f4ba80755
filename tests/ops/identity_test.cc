#include "tests/ops/runner.h"

namespace treadle::test {
namespace {

std::vector<OpCase> cases() {
  return {
      {.name = "matrix",
       .op = "Identity",
       .inputs = {f32({2, 2}, {1, 2, 3, 4})},
       .want = {f32({2, 2}, {1, 2, 3, 4})}},
      {.name = "rank0", .op = "Identity", .inputs = {i64({}, {7})}, .want = {i64({}, {7})}},
      {.name = "empty", .op = "Identity", .inputs = {f16({0, 3}, {})}, .want = {f16({0, 3}, {})}},
      {.name = "strings",
       .op = "Identity",
       .inputs = {text({2}, {"a", ""})},
       .want = {text({2}, {"a", ""})}},
      {.name = "packed",
       .op = "Identity",
       .inputs = {packed(DType::kInt4, {3}, {1, -2, 7})},
       .want = {packed(DType::kInt4, {3}, {1, -2, 7})}},
      {.name = "sequence",
       .op = "Identity",
       .inputs = {sequence({f32({1}, {1}), f32({2}, {2, 3})})},
       .want = {sequence({f32({1}, {1}), f32({2}, {2, 3})})}},
      {.name = "missing", .op = "Identity", .inputs = {Value{}}, .error = "input 'input'"},
  };
}

INSTANTIATE_TEST_SUITE_P(Identity, OpTest, testing::ValuesIn(cases()), case_name);

}  // namespace
}  // namespace treadle::test

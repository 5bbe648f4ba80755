#include <cmath>

#include "tests/ops/runner.h"

namespace treadle::test {
namespace {

std::vector<OpCase> cases() {
  return {
      {.name = "three",
       .op = "Max",
       .inputs = {f32({1, 3}, {1, 5, NAN}), f32({}, {3}), f32({2, 1}, {2, 4})},
       .want = {f32({2, 3}, {3, 5, NAN, 4, 5, NAN})}},
      {.name = "two",
       .op = "Min",
       .inputs = {f32({3}, {1, NAN, 3}), f32({3}, {2, 2, NAN})},
       .want = {f32({3}, {1, NAN, NAN})}},
      {.name = "one", .op = "Max", .inputs = {i64({2}, {1, 2})}, .want = {i64({2}, {1, 2})}},
      {.name = "uint64",
       .op = "Min",
       .inputs = {Tensor::of<uint64_t>({2}, {18446744073709551615u, 3}),
                  Tensor::of<uint64_t>({1}, {5})},
       .want = {Tensor::of<uint64_t>({2}, {5, 3})}},
      {.name = "int8",
       .op = "Max",
       .inputs = {i8({2}, {-128, 3}), i8({1}, {5})},
       .want = {i8({2}, {5, 5})}},
      {.name = "half",
       .op = "Max",
       .inputs = {f16({2}, {1, 2}), f16({1}, {1.5f})},
       .want = {f16({2}, {1.5f, 2})}},
      {.name = "three",
       .op = "Sum",
       .inputs = {f32({3}, {1, 2, 3}), f32({}, {1e+01f}), f32({2, 1}, {1e+02f, 2e+02f})},
       .want = {f32({2, 3}, {111, 112, 113, 211, 212, 213})}},
      {.name = "bfloat16_rounds_once",
       .op = "Sum",
       .inputs = {bf16({1}, {256}), bf16({1}, {0.5f}), bf16({1}, {0.5f}), bf16({1}, {1})},
       .want = {bf16({1}, {258})}},
      {.name = "three",
       .op = "Mean",
       .inputs = {f32({3}, {1, 2, 3}), f32({}, {4}), f32({2, 1}, {1, 5})},
       .want = {f32({2, 3}, {2, 2.3333333f, 2.6666667f, 3.3333333f, 3.6666667f, 4})}},
      {.name = "half_no_overflow",
       .op = "Mean",
       .inputs = {f16({1}, {6e+04f}), f16({1}, {6e+04f})},
       .want = {f16({1}, {6e+04f})}},
      {.name = "empty",
       .op = "Sum",
       .inputs = {f32({0}, {}), f32({1}, {1})},
       .want = {f32({0}, {})}},
      {.name = "broadcast",
       .op = "Where",
       .inputs = {bools({2, 1}, {true, false}), f32({2}, {1, 2}), f32({}, {9})},
       .want = {f32({2, 2}, {1, 2, 9, 9})}},
      {.name = "strings",
       .op = "Where",
       .inputs = {bools({2}, {true, false}), text({2}, {"a", "b"}), text({2}, {"c", "d"})},
       .want = {text({2}, {"a", "d"})}},
      {.name = "bool",
       .op = "Where",
       .inputs = {bools({2}, {true, false}), bools({2}, {false, false}), bools({2}, {true, true})},
       .want = {bools({2}, {false, true})}},
      {.name = "int64",
       .op = "Where",
       .inputs = {bools({}, {true}), i64({2}, {1, 2}), i64({2}, {3, 4})},
       .want = {i64({2}, {1, 2})}},
      {.name = "half",
       .op = "Where",
       .inputs = {bools({2}, {false, true}), f16({2}, {1, 2}), f16({2}, {3, NAN})},
       .want = {f16({2}, {3, 2})}},
  };
}

INSTANTIATE_TEST_SUITE_P(Variadic, OpTest, testing::ValuesIn(cases()), case_name);

}  // namespace
}  // namespace treadle::test

#include "tests/ops/runner.h"

namespace treadle::test {
namespace {

std::vector<OpCase> cases() {
  const Value x = f32({2, 3}, {1, 2, 3, 4, 5, 6});
  auto make = [&](const char* name, const std::vector<int64_t>& to, const Value& want) {
    return OpCase{
        .name = name, .op = "SumTo", .domain = "treadle", .inputs = {x, axes(to)}, .want = {want}};
  };
  return {
      make("nothing", {2, 3}, x),
      make("front", {3}, f32({3}, {5, 7, 9})),
      make("kept", {2, 1}, f32({2, 1}, {6, 15})),
      make("all", {}, f32({}, {21})),
      {.name = "empty",
       .op = "SumTo",
       .domain = "treadle",
       .inputs = {f32({0, 2}, {}), axes({1, 2})},
       .want = {f32({1, 2}, {0, 0})}},
      {.name = "misfit",
       .op = "SumTo",
       .domain = "treadle",
       .inputs = {x, axes({2})},
       .error = "[2]"},
  };
}
INSTANTIATE_TEST_SUITE_P(SumTo, OpTest, testing::ValuesIn(cases()), case_name);

}  // namespace
}  // namespace treadle::test

#include "graph/builder.h"
#include "tests/ops/runner.h"

namespace treadle::test {
namespace {

Tensor grid() { return counting(DType::kFloat, {3, 4}); }
Tensor row() { return counting(DType::kInt64, {5}); }

std::vector<OpCase> slice_cases() {
  const auto one = [](std::string name, int64_t start, int64_t end, int64_t step,
                      std::vector<int64_t> want) {
    return OpCase{.name = std::move(name),
                  .op = "Slice",
                  .inputs = {row(), axes({start}), axes({end}), axes({0}), axes({step})},
                  .want = {axes(want)}};
  };
  return {
      {.name = "no_axes",
       .op = "Slice",
       .inputs = {grid(), axes({1, 0}), axes({2, 3})},
       .want = {f32({1, 3}, {4, 5, 6})}},
      {.name = "axes_and_steps",
       .op = "Slice",
       .inputs = {grid(), axes({1, 0}), axes({1000, 3}), axes({-1, 0}), axes({2, 2})},
       .want = {f32({2, 2}, {1, 3, 9, 11})}},
      {.name = "int32",
       .op = "Slice",
       .inputs = {grid(), i32({1}, {-1}), i32({1}, {INT32_MAX})},
       .want = {f32({1, 4}, {8, 9, 10, 11})}},
      one("reverse", -1, INT64_MIN, -1, {4, 3, 2, 1, 0}),
      one("reverse_by_two", 10, 0, -2, {4, 2}),
      one("up_from_far_below", INT64_MIN, 2, 1, {0, 1}),
      one("nothing", 3, 2, 1, {}),
      one("nothing_down", 0, 0, -1, {}),
      one("largest_step", 1, INT64_MAX, INT64_MAX, {1}),
      one("smallest_step", 3, INT64_MIN, INT64_MIN, {3}),
      {.name = "empty_reversed",
       .op = "Slice",
       .inputs = {f32({0}, {}), axes({-1}), axes({INT64_MIN}), axes({0}), axes({-1})},
       .want = {f32({0}, {})}},
      {.name = "strings",
       .op = "Slice",
       .inputs = {text({3}, {"a", "b", "c"}), axes({1}), axes({3})},
       .want = {text({2}, {"b", "c"})}},
      {.name = "packed",
       .op = "Slice",
       .inputs = {packed(DType::kInt4, {4}, {1, 2, 3, 4}), axes({1}), axes({4})},
       .want = {packed(DType::kInt4, {3}, {2, 3, 4})}},
      {.name = "step0",
       .op = "Slice",
       .inputs = {row(), axes({0}), axes({1}), axes({0}), axes({0})},
       .error = "a slice with step 0"},
      {.name = "axis",
       .op = "Slice",
       .inputs = {row(), axes({0}), axes({1}), axes({1})},
       .error = "axis 1 is out of range for rank 1"},
      {.name = "axis_twice",
       .op = "Slice",
       .inputs = {row(), axes({0, 0}), axes({1, 1}), axes({0, -1})},
       .error = "axis 0 is given twice"},
      {.name = "lengths",
       .op = "Slice",
       .inputs = {row(), axes({0}), axes({1, 2})},
       .error = "have 1, 2, 1 and 1 entries"},
  };
}

std::vector<OpCase> tile_cases() {
  return {
      {.name = "both",
       .op = "Tile",
       .inputs = {f32({2, 2}, {1, 2, 3, 4}), axes({2, 2})},
       .want = {f32({4, 4}, {1, 2, 1, 2, 3, 4, 3, 4, 1, 2, 1, 2, 3, 4, 3, 4})}},
      {.name = "none",
       .op = "Tile",
       .inputs = {f32({2}, {1, 2}), axes({0})},
       .want = {f32({0}, {})}},
      {.name = "scalar", .op = "Tile", .inputs = {f32({}, {1}), axes({})}, .want = {f32({}, {1})}},
      {.name = "strings",
       .op = "Tile",
       .inputs = {text({1}, {"x"}), axes({3})},
       .want = {text({3}, {"x", "x", "x"})}},
      {.name = "negative",
       .op = "Tile",
       .inputs = {f32({1}, {1}), axes({-1})},
       .error = "a repeat of -1",
       .planned = "would have shape [-1]"},
      {.name = "length",
       .op = "Tile",
       .inputs = {f32({1}, {1}), axes({1, 1})},
       .error = "2 entries for rank 1"},
      {.name = "too_large",
       .op = "Tile",
       .inputs = {f32({2}, {1, 2}), axes({INT64_MAX})},
       .error = "overflows"},
  };
}

INSTANTIATE_TEST_SUITE_P(Slice, OpTest, testing::ValuesIn(slice_cases()), case_name);
INSTANTIATE_TEST_SUITE_P(Tile, OpTest, testing::ValuesIn(tile_cases()), case_name);

struct SymbolicSlice {
  int64_t start, end, step;
  const char* want;
};

TEST(SliceShape, OfASymbol) {
  const SymbolicSlice slices[] = {
      {0, INT64_MAX, 1, "float[N]"},
      {1, INT64_MAX, 1, "float[max(0, N - 1)]"},
      {0, -1, 1, "float[max(0, N - 1)]"},
      {0, INT64_MAX, 2, "float[floor((N + 1)/(2))]"},
      {-1, INT64_MAX, 1, "float[min(1, N)]"},
      {-1, INT64_MIN, -1, "float[N]"},
      {0, INT64_MIN, 1, "float[0]"},
      {0, 4, 1, "float[min(4, N)]"},
      {1, 4, 1, "float[max(0, min(4, N) - 1)]"},
      {-3, -1, 1, "float[max(-max(0, N - 3) + N - 1, 0)]"},
      {2, 1, -1, "float[max(0, min(2, N - 1) - 1)]"},
      {-2, 1, -1, "float[?]"},
  };
  for (const SymbolicSlice& s : slices) {
    Graph graph;
    const ValueId x = graph.add_input("x", Type::tensor(DType::kFloat, Shape{Dim::symbol("N")}));
    Builder b(graph);
    const ValueId y =
        b.op("Slice", {x, b.ints({s.start}), b.ints({s.end}), b.ints({0}), b.ints({s.step})});
    EXPECT_EQ(b.type(y).text(), s.want);
  }
}

}  // namespace
}  // namespace treadle::test

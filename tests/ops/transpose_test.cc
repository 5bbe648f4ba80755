#include "tests/ops/runner.h"

namespace treadle::test {
namespace {

Attributes perm(std::vector<int64_t> p) { return {{"perm", std::move(p)}}; }
Attributes block(int64_t size, const char* mode) {
  return {{"blocksize", size}, {"mode", std::string(mode)}};
}

std::vector<OpCase> transpose_cases() {
  return {
      {.name = "reversed",
       .op = "Transpose",
       .inputs = {counting(DType::kFloat, {2, 3})},
       .want = {f32({3, 2}, {0, 3, 1, 4, 2, 5})}},
      {.name = "three",
       .op = "Transpose",
       .attributes = perm({1, 2, 0}),
       .inputs = {counting(DType::kInt64, {2, 2, 3})},
       .want = {i64({2, 3, 2}, {0, 6, 1, 7, 2, 8, 3, 9, 4, 10, 5, 11})}},
      {.name = "scalar", .op = "Transpose", .inputs = {f32({}, {2})}, .want = {f32({}, {2})}},
      {.name = "empty", .op = "Transpose", .inputs = {f16({0, 3}, {})}, .want = {f16({3, 0}, {})}},
      {.name = "bool",
       .op = "Transpose",
       .inputs = {bools({2, 2}, {true, true, false, false})},
       .want = {bools({2, 2}, {true, false, true, false})}},
      {.name = "strings",
       .op = "Transpose",
       .inputs = {text({1, 2}, {"a", "b"})},
       .want = {text({2, 1}, {"a", "b"})}},
      {.name = "packed",
       .op = "Transpose",
       .inputs = {packed(DType::kInt4, {2, 3}, {0, 1, 2, 3, 4, 5})},
       .want = {packed(DType::kInt4, {3, 2}, {0, 3, 1, 4, 2, 5})}},
      {.name = "complex",
       .op = "Transpose",
       .inputs = {Tensor::of<std::complex<double>>({1, 2}, {{1, 2}, {3, 4}})},
       .want = {Tensor::of<std::complex<double>>({2, 1}, {{1, 2}, {3, 4}})}},
      {.name = "twice",
       .op = "Transpose",
       .attributes = perm({0, 0}),
       .inputs = {f32({1, 1}, {1})},
       .error = "names axis 0 twice"},
      {.name = "short",
       .op = "Transpose",
       .attributes = perm({0}),
       .inputs = {f32({1, 1}, {1})},
       .error = "perm has 1 entries for rank 2"},
  };
}

std::vector<OpCase> block_cases() {
  return {
      {.name = "dcr",
       .op = "DepthToSpace",
       .attributes = block(2, "DCR"),
       .inputs = {counting(DType::kFloat, {1, 8, 1, 2})},
       .want = {f32({1, 2, 2, 4}, {0, 4, 1, 5, 8, 12, 9, 13, 2, 6, 3, 7, 10, 14, 11, 15})}},
      {.name = "crd",
       .op = "DepthToSpace",
       .attributes = block(2, "CRD"),
       .inputs = {counting(DType::kFloat, {1, 8, 1, 2})},
       .want = {f32({1, 2, 2, 4}, {0, 2, 1, 3, 4, 6, 5, 7, 8, 10, 9, 11, 12, 14, 13, 15})}},
      {.name = "dcr",
       .op = "SpaceToDepth",
       .attributes = block(2, "DCR"),
       .inputs = {f32({1, 2, 2, 4}, {0, 4, 1, 5, 8, 12, 9, 13, 2, 6, 3, 7, 10, 14, 11, 15})},
       .want = {counting(DType::kFloat, {1, 8, 1, 2})}},
      {.name = "crd",
       .op = "SpaceToDepth",
       .attributes = block(2, "CRD"),
       .inputs = {f32({1, 2, 2, 4}, {0, 2, 1, 3, 4, 6, 5, 7, 8, 10, 9, 11, 12, 14, 13, 15})},
       .want = {counting(DType::kFloat, {1, 8, 1, 2})}},
      {.name = "channels",
       .op = "DepthToSpace",
       .attributes = block(2, "DCR"),
       .inputs = {f32({1, 3, 1, 1}, {1, 2, 3})},
       .error = "3 is not a multiple of 4"},
      {.name = "rank",
       .op = "SpaceToDepth",
       .attributes = block(2, "DCR"),
       .inputs = {f32({1}, {1})},
       .error = "expected 4"},
      {.name = "mode",
       .op = "DepthToSpace",
       .attributes = block(1, "X"),
       .inputs = {f32({1, 1, 1, 1}, {1})},
       .error = "expected DCR or CRD"},
      {.name = "size",
       .op = "DepthToSpace",
       .attributes = block(0, "DCR"),
       .inputs = {f32({1, 1, 1, 1}, {1})},
       .error = "blocksize is 0"},
  };
}

INSTANTIATE_TEST_SUITE_P(Transpose, OpTest, testing::ValuesIn(transpose_cases()), case_name);
INSTANTIATE_TEST_SUITE_P(Blocks, OpTest, testing::ValuesIn(block_cases()), case_name);

}  // namespace
}  // namespace treadle::test

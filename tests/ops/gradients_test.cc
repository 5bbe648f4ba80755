// The operators that gradients are made of: each against its decomposition, and on every way.
#include "graph/ops/conv_params.h"
#include "tests/ops/runner.h"

namespace treadle::test {
namespace {

using Ints = std::vector<int64_t>;

Tensor random(const Dims& dims, uint64_t seed) { return random_tensor(DType::kFloat, dims, seed); }

struct ConvCase {
  std::string name;
  Dims x;
  Dims w;
  Attributes attributes = {};
};

std::vector<ConvCase> convolutions() {
  return {
      {"plain", {2, 3, 5, 6}, {4, 3, 3, 2}},
      {"line", {2, 3, 7}, {4, 3, 3}, {{"pads", Ints{1, 0}}}},
      {"volume", {1, 2, 3, 4, 3}, {3, 2, 2, 2, 2}},
      {"batch_of_none", {0, 3, 4, 4}, {2, 3, 3, 3}},
      {"unused_rows", {2, 3, 8, 6}, {4, 3, 3, 2}, {{"strides", Ints{2, 3}}}},
      {"asymmetric_pads", {2, 3, 6, 6}, {4, 3, 3, 3}, {{"pads", Ints{0, 1, 2, 1}}}},
      {"dilations", {1, 3, 8, 9}, {2, 3, 3, 2}, {{"dilations", Ints{2, 3}}}},
      {"strides_dilations",
       {1, 3, 8, 9},
       {2, 3, 3, 2},
       {{"dilations", Ints{2, 1}}, {"strides", Ints{3, 2}}}},
      {"groups", {2, 4, 5, 5}, {6, 2, 3, 3}, {{"group", int64_t{2}}, {"pads", Ints{1, 1, 1, 1}}}},
      {"depthwise", {2, 5, 6, 6}, {5, 1, 3, 3}, {{"group", int64_t{5}}, {"strides", Ints{2, 2}}}},
      {"same_upper",
       {1, 3, 5, 6},
       {2, 3, 2, 3},
       {{"auto_pad", "SAME_UPPER"}, {"strides", Ints{2, 2}}}},
      {"same_lower",
       {1, 3, 5, 6},
       {2, 3, 2, 3},
       {{"auto_pad", "SAME_LOWER"}, {"strides", Ints{2, 2}}}},
      {"whole_blocks", {2, 32, 8, 8}, {16, 32, 3, 3}, {{"pads", Ints{1, 1, 1, 1}}}},
      {"whole_blocks_strides",
       {2, 16, 9, 8},
       {32, 16, 3, 3},
       {{"pads", Ints{1, 1, 1, 1}}, {"strides", Ints{2, 2}}}},
      {"points", {2, 32, 6, 6}, {16, 32, 1, 1}, {{"strides", Ints{2, 2}}}},
      {"part_of_a_block", {2, 20, 9, 9}, {50, 20, 5, 5}},
      {"one_channel", {4, 1, 12, 12}, {20, 1, 5, 5}},
      {"long_rows", {2, 20, 12, 14}, {50, 20, 3, 3}, {{"pads", Ints{1, 1, 1, 1}}}},
      {"long_rows_strides",
       {2, 9, 21, 23},
       {17, 9, 3, 2},
       {{"pads", Ints{1, 0, 0, 1}}, {"strides", Ints{2, 2}}}},
      {"long_rows_dilations",
       {1, 13, 19, 17},
       {8, 13, 3, 3},
       {{"pads", Ints{2, 2, 2, 2}}, {"dilations", Ints{2, 2}}}},
      {"several_blocks", {3, 16, 40, 40}, {8, 16, 3, 3}},
      {"many_images", {70, 8, 4, 4}, {16, 8, 3, 3}, {{"pads", Ints{1, 1, 1, 1}}}},
      {"long_line", {2, 10, 40}, {20, 10, 5}, {{"strides", Ints{3}}, {"pads", Ints{2, 1}}}},
      {"three_channels", {2, 3, 16, 16}, {64, 3, 3, 3}, {{"pads", Ints{1, 1, 1, 1}}}},
  };
}

std::vector<OpCase> conv_cases() {
  std::vector<OpCase> cases;
  for (const ConvCase& c : convolutions()) {
    const Dims y = conv_params(c.attributes, c.x, c.w).output_dims();
    OpCase made{.name = c.name,
                .op = "ConvGradInput",
                .domain = "treadle",
                .attributes = c.attributes,
                .inputs = {random(y, 1), random(c.w, 2), axes(c.x)},
                .rtol = 1e-4,
                .atol = 1e-4};
    cases.push_back(made);
    made.op = "ConvGradWeights";
    made.inputs = {random(y, 1), random(c.x, 2), axes(c.w)};
    cases.push_back(made);
  }
  const Value dy = f32({1, 1, 2}, {1, 10});
  cases.push_back({.name = "by_hand",
                   .op = "ConvGradInput",
                   .domain = "treadle",
                   .attributes = {{"strides", Ints{2}}},
                   .inputs = {dy, f32({1, 1, 2}, {2, 3}), axes({1, 1, 5})},
                   .want = {f32({1, 1, 5}, {2, 3, 20, 30, 0})}});
  cases.push_back({.name = "by_hand",
                   .op = "ConvGradWeights",
                   .domain = "treadle",
                   .attributes = {{"strides", Ints{2}}},
                   .inputs = {dy, f32({1, 1, 5}, {1, 2, 3, 4, 5}), axes({1, 1, 2})},
                   .want = {f32({1, 1, 2}, {31, 42})}});
  cases.push_back({.name = "misfit",
                   .op = "ConvGradInput",
                   .domain = "treadle",
                   .inputs = {dy, f32({1, 1, 2}, {2, 3}), axes({1, 1, 5})},
                   .error = "[1, 1, 4]"});
  cases.push_back({.name = "negative_size",
                   .op = "ConvGradWeights",
                   .domain = "treadle",
                   .inputs = {dy, f32({1, 1, 5}, {1, 2, 3, 4, 5}), axes({1, 1, -2})},
                   .error = "-2"});
  return cases;
}
INSTANTIATE_TEST_SUITE_P(ConvGradients, OpTest, testing::ValuesIn(conv_cases()), case_name);

struct PoolCase {
  std::string name;
  Dims x;
  Attributes attributes;
};

std::vector<PoolCase> pools() {
  const Ints two = {2, 2};
  return {
      {"apart", {2, 3, 6, 4}, {{"kernel_shape", two}, {"strides", two}}},
      {"left_over", {2, 3, 7, 5}, {{"kernel_shape", two}, {"strides", two}}},
      {"overlapping", {1, 2, 6, 5}, {{"kernel_shape", Ints{3, 2}}}},
      {"pads", {1, 2, 6, 5}, {{"kernel_shape", Ints{3, 3}}, {"pads", Ints{1, 0, 2, 1}}}},
      {"ceil",
       {1, 2, 6, 7},
       {{"kernel_shape", Ints{3, 3}}, {"strides", two}, {"ceil_mode", int64_t{1}}}},
      {"dilations", {1, 2, 6, 7}, {{"kernel_shape", two}, {"dilations", Ints{3, 2}}}},
      {"same", {1, 2, 5, 6}, {{"kernel_shape", two}, {"strides", two}, {"auto_pad", "SAME_LOWER"}}},
      {"line", {2, 3, 7}, {{"kernel_shape", Ints{3}}, {"strides", Ints{2}}}},
      {"volume", {1, 2, 4, 4, 3}, {{"kernel_shape", Ints{2, 2, 2}}, {"strides", Ints{2, 1, 2}}}},
      {"batch_of_none", {0, 2, 4, 4}, {{"kernel_shape", two}}},
      {"whole_blocks", {2, 32, 8, 8}, {{"kernel_shape", two}, {"strides", two}}},
      {"part_of_a_block", {2, 20, 8, 8}, {{"kernel_shape", Ints{3, 3}}, {"strides", two}}},
  };
}

std::vector<OpCase> pool_cases() {
  std::vector<OpCase> cases;
  for (const PoolCase& c : pools()) {
    const Dims y = pool_params(c.attributes, c.x).output_dims();
    OpCase made{.name = c.name,
                .op = "MaxPoolGrad",
                .domain = "treadle",
                .attributes = c.attributes,
                .inputs = {random(y, 1), random(c.x, 2)}};
    cases.push_back(made);
    made.op = "AveragePoolGrad";
    cases.push_back(made);
    made.name += "_with_pads";
    made.attributes.set("count_include_pad", int64_t{1});
    cases.push_back(made);
  }
  const Ints two = {2};
  const float nan = std::numeric_limits<float>::quiet_NaN();
  cases.push_back({.name = "ties",
                   .op = "MaxPoolGrad",
                   .domain = "treadle",
                   .attributes = {{"kernel_shape", two}, {"storage_order", int64_t{1}}},
                   .inputs = {f32({1, 1, 4}, {1, 10, 100, 1000}), f32({1, 1, 5}, {7, 7, 3, 7, 7})},
                   .want = {f32({1, 1, 5}, {1, 10, 0, 1100, 0})}});
  cases.push_back({.name = "nan_and_infinity",
                   .op = "MaxPoolGrad",
                   .domain = "treadle",
                   .attributes = {{"kernel_shape", two}, {"strides", two}},
                   .inputs = {f32({1, 1, 3}, {1, 2, 3}),
                              f32({1, 1, 6}, {5, nan, nan, nan, -INFINITY, -INFINITY})},
                   .want = {f32({1, 1, 6}, {0, 1, 2, 0, 3, 0})}});
  cases.push_back({.name = "by_hand",
                   .op = "AveragePoolGrad",
                   .domain = "treadle",
                   .attributes = {{"kernel_shape", two}, {"pads", Ints{1, 0}}},
                   .inputs = {f32({1, 1, 3}, {1, 10, 100}), f32({1, 1, 3}, {0, 0, 0})},
                   .want = {f32({1, 1, 3}, {6, 55, 50})}});
  return cases;
}
INSTANTIATE_TEST_SUITE_P(PoolGradients, OpTest, testing::ValuesIn(pool_cases()), case_name);

std::vector<OpCase> batch_cases() {
  std::vector<OpCase> cases;
  for (const Dims& dims : std::vector<Dims>{{4, 3},
                                            {2, 3, 5},
                                            {2, 16, 4, 3},
                                            {3, 20, 7, 5},
                                            {2, 64, 16, 16},
                                            {2, 5, 2, 3, 2},
                                            {7}}) {
    const Dims channels = {dims.size() > 1 ? dims[1] : 1};
    std::string name = "of";
    for (int64_t d : dims) name += cat("_", d);
    cases.push_back({.name = name,
                     .op = "BatchStatistics",
                     .domain = "treadle",
                     .inputs = {random_tensor(DType::kFloat, dims, 1, 99, 101)},
                     .outputs = 2});
    cases.push_back({.name = name,
                     .op = "BatchSums",
                     .domain = "treadle",
                     .inputs = {random(dims, 1), random(dims, 2), random(channels, 3)},
                     .rtol = 1e-4,
                     .atol = 1e-3,
                     .outputs = 2});
  }
  for (int64_t keep : {0, 1}) {
    for (const Dims& dims : std::vector<Dims>{{2, 3, 5}, {3, 20, 7, 5}, {2, 32, 20, 20}}) {
      Ints others = {0};
      for (size_t i = 2; i < dims.size(); ++i) others.push_back(static_cast<int64_t>(i));
      cases.push_back(
          {.name = cat("all_but_channels_of_", dims.size(), "_", dims.back(), "_keep_", keep),
           .op = "ReduceSum",
           .attributes = {{"keepdims", keep}},
           .inputs = {random(dims, 1), axes(others)},
           .rtol = 1e-4,
           .atol = 1e-4});
    }
  }
  cases.push_back({.name = "by_hand",
                   .op = "BatchStatistics",
                   .domain = "treadle",
                   .inputs = {f32({2, 2, 2}, {1, 3, 0, 0, 5, 7, 0, 4})},
                   .want = {f32({2}, {4, 1}), f32({2}, {5, 3})}});
  cases.push_back(
      {.name = "by_hand",
       .op = "BatchSums",
       .domain = "treadle",
       .inputs = {f32({2, 2}, {1, 2, 3, 4}), f32({2, 2}, {5, 6, 7, 8}), f32({2}, {4, 7})},
       .want = {f32({2}, {4, 6}), f32({2}, {10, 2})}});
  return cases;
}
INSTANTIATE_TEST_SUITE_P(BatchGradients, OpTest, testing::ValuesIn(batch_cases()), case_name);

}  // namespace
}  // namespace treadle::test

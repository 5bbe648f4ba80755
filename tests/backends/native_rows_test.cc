#include "backends/cpu/native/rows.h"

#include <cmath>
#include <limits>

#include "backends/cpu/simd/simd.h"
#include "graph/ops/op.h"
#include "tests/support/kernel_check.h"

namespace treadle::test {
namespace {

using cpu::kBlocked16;
using cpu::kChannelsLast;

void check_on_all_targets(const cpu::Family& family, const KernelCase& c) {
  for (const std::string& target : cpu::simd_targets()) {
    SCOPED_TRACE(target);
    cpu::set_simd_target(target);
    check_kernel(family, c);
  }
  cpu::set_simd_target("");
}

TEST(NativeRows, SoftmaxOverTheLastAxis) {
  for (const char* op : {"Softmax", "LogSoftmax"}) {
    for (const int64_t n : {1, 7, 8, 33, 197, 1000}) {
      check_on_all_targets(cpu::kNativeSoftmax,
                           {.name = cat(n),
                            .op = op,
                            .inputs = {random_tensor(DType::kFloat, {3, 2, n}, 1, -20, 20)},
                            .rtol = 1e-5,
                            .atol = 1e-6});
    }
  }
  constexpr float kInf = std::numeric_limits<float>::infinity();
  check_on_all_targets(
      cpu::kNativeSoftmax,
      {.name = "masked", .op = "Softmax", .inputs = {f32({2, 3}, {0, -kInf, 1, 200, 100, -kInf})}});
}

// Many rows at a time; what one of them holds stays with it.
TEST(NativeRows, SoftmaxOfShortRows) {
  for (const int64_t n : {1, 2, 3, 8, 9}) {
    Tensor x = random_tensor(DType::kFloat, {45, n}, 1, -20, 20);
    const auto values = x.data<float>();
    values[static_cast<size_t>(3 * n)] = std::numeric_limits<float>::quiet_NaN();
    values[static_cast<size_t>(5 * n)] = -std::numeric_limits<float>::infinity();
    values[static_cast<size_t>(40 * n)] = std::numeric_limits<float>::infinity();
    check_on_all_targets(
        cpu::kNativeSoftmax,
        {.name = cat(n), .op = "Softmax", .inputs = {x}, .rtol = 1e-5, .atol = 1e-6});
  }
}

TEST(NativeRows, SoftmaxOverAnotherAxis) {
  for (const char* op : {"Softmax", "LogSoftmax"}) {
    for (const Dims& dims : {Dims{3, 17, 5, 7}, Dims{2, 21, 40, 33}, Dims{1, 700, 50, 1}}) {
      for (const int64_t axis : {0, 1, 2}) {
        check_on_all_targets(cpu::kNativeSoftmax,
                             {.name = cat(shape_text(dims), " axis ", axis),
                              .op = op,
                              .attributes = {{"axis", axis}},
                              .inputs = {random_tensor(DType::kFloat, dims, 1, -20, 20)},
                              .rtol = 1e-5,
                              .atol = 1e-5});
      }
    }
  }
}

// What one of them holds stays with it.
TEST(NativeRows, SoftmaxOfColumnsThatAreNotFinite) {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  for (const size_t columns : {5, 37}) {
    Tensor x = random_tensor(DType::kFloat, {2, 11, static_cast<int64_t>(columns)}, 1, -200, 200);
    const auto values = x.data<float>();
    for (size_t row = 0; row < 11; ++row) values[row * columns] = -kInf;
    values[4 * columns + 1] = -kInf;
    values[5 * columns + columns - 3] = kInf;
    values[columns - 2] = kNan;
    values[10 * columns + columns - 1] = kNan;
    for (const char* op : {"Softmax", "LogSoftmax"}) {
      check_on_all_targets(
          cpu::kNativeSoftmax,
          {.name = op, .op = op, .attributes = {{"axis", int64_t{1}}}, .inputs = {x}});
    }
  }
}

// Several parts of a column make a vector.
TEST(NativeRows, SoftmaxOfFewColumns) {
  for (const char* op : {"Softmax", "LogSoftmax"}) {
    for (const int64_t columns : {2, 3, 4, 5, 7, 8, 9}) {
      for (const int64_t rows : {1, 9, 31, 32, 33, 64, 1001}) {
        check_on_all_targets(
            cpu::kNativeSoftmax,
            {.name = cat(rows, " rows of ", columns),
             .op = op,
             .attributes = {{"axis", int64_t{1}}},
             .inputs = {random_tensor(DType::kFloat, {3, rows, columns}, 1, -120, -90)},
             .rtol = 1e-5,
             .atol = 1e-5});
      }
    }
  }
}

// Few different numbers, so that most choices are among equals, some of them NaN, infinite or zeros of
// either sign; the first column is -∞ alone.
Tensor numbers_with_ties(const Dims& dims) {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  Tensor drawn = random_tensor(DType::kFloat, dims, 3, 0, 1);
  constexpr float kFew[] = {-1, -0.0F, 0, 0.5F, -kInf, -2};
  const int64_t inner = dims.size() > 1 ? dims.back() : 1;
  int64_t i = 0;
  for (float& x : drawn.data<float>()) {
    const auto k = static_cast<size_t>(x * 600);
    x = k == 7 ? kNan : k == 11 ? kInf : kFew[k % std::size(kFew)];
    if (i++ % inner == 0) x = -kInf;
  }
  return drawn;
}

void check_choices(const Tensor& x, int64_t axis, Layout layout = kPlain) {
  for (const char* op : {"ArgMax", "ArgMin"}) {
    for (const int64_t choice : {0, 1, 2, 3}) {
      check_on_all_targets(cpu::kNativeArg,
                           {.name = cat(op, choice, " axis ", axis, " of ", shape_text(x.dims())),
                            .op = op,
                            .attributes = {{"axis", axis},
                                           {"select_last_index", choice % 2},
                                           {"keepdims", choice / 2}},
                            .inputs = {x},
                            .layouts = {layout},
                            .rtol = 0,
                            .atol = 0});
    }
  }
}

TEST(NativeRows, ArgMaxOverAnyAxis) {
  for (const Dims& dims : {Dims{3, 21, 33}, Dims{1, 5, 1100}, Dims{4, 7, 2}, Dims{2, 1, 16}}) {
    for (const int64_t axis : {0, 1, 2}) check_choices(numbers_with_ties(dims), axis);
  }
  check_choices(random_tensor(DType::kFloat, {21, 70, 50}, 2), 0);
}

TEST(NativeRows, ArgMaxOfRows) {
  for (const int64_t n : {1, 2, 3, 5, 15, 16, 17, 31, 32, 33, 100})
    check_choices(numbers_with_ties({60, n}), -1);
  check_choices(numbers_with_ties({19}), 0);
  const float kInf = std::numeric_limits<float>::infinity();
  check_choices(f32({2, 3}, {-kInf, -kInf, -kInf, kInf, kInf, kInf}), 1);
  check_choices(random_tensor(DType::kFloat, {3, 50000}, 2), 1);
}

TEST(NativeRows, ArgMaxOverChannelsInTheirLayout) {
  for (const Layout layout : {kBlocked16, kChannelsLast}) {
    for (const int64_t axis : {0, 1, 3})
      check_choices(numbers_with_ties({2, 21, 5, 7}), axis, layout);
  }
  EXPECT_EQ(
      reason(cpu::kNativeArg, {.name = "halves", .op = "ArgMax", .inputs = {f16({2}, {1, 2})}}),
      "not float");
}

TEST(NativeRows, Reductions) {
  const std::vector<std::vector<int64_t>> all_axes = {{0},    {1},  {2, 3},      {0, 1},
                                                      {1, 2}, {-1}, {0, 1, 2, 3}};
  for (const char* op : {"ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceSumSquare",
                         "ReduceL2", "ReduceL1"}) {
    for (const auto& list : all_axes) {
      for (const int64_t keep : {0, 1}) {
        check_on_all_targets(cpu::kNativeReduce,
                             {.name = cat(shape_text(list), keep),
                              .op = op,
                              .attributes = {{"keepdims", keep}},
                              .inputs = {random_tensor(DType::kFloat, {3, 5, 7, 9}, 2), axes(list)},
                              .constants = {1}});
      }
    }
  }
  check_on_all_targets(cpu::kNativeReduce,
                       {.name = "wide",
                        .op = "ReduceMean",
                        .inputs = {random_tensor(DType::kFloat, {40, 1700}, 3), axes({0})}});
  check_on_all_targets(
      cpu::kNativeReduce,
      {.name = "all", .op = "ReduceSum", .inputs = {random_tensor(DType::kFloat, {333}, 3)}});
}

// As the gradient of a convolution's bias.
TEST(NativeRows, SumsOverAllButTheChannels) {
  for (const Layout layout : {kPlain, kBlocked16, kChannelsLast}) {
    for (const char* op : {"ReduceSum", "ReduceMean", "ReduceL2", "ReduceL1"}) {
      for (const int64_t keep : {0, 1}) {
        check_on_all_targets(
            cpu::kNativeReduce,
            {.name = cat(op, layout, keep),
             .op = op,
             .attributes = {{"keepdims", keep}},
             .inputs = {random_tensor(DType::kFloat, {3, 21, 7, 9}, 2), axes({0, 2, 3})},
             .constants = {1},
             .layouts = {layout}});
      }
    }
  }
  EXPECT_EQ(reason(cpu::kNativeReduce,
                   {.name = "max",
                    .op = "ReduceMax",
                    .inputs = {random_tensor(DType::kFloat, {3, 2, 7}, 2), axes({0, 2})}}),
            "scattered or unknown axes");
}

TEST(NativeRows, PoolingOverChannelsInTheirLayout) {
  for (const Layout layout : {kPlain, kBlocked16, kChannelsLast}) {
    for (const int64_t channels : {16, 21, 64}) {
      const Tensor x = random_tensor(DType::kFloat, {2, channels, 5, 7}, 4);
      check_on_all_targets(cpu::kNativeReduce, {.name = cat(layout, channels),
                                                .op = "GlobalAveragePool",
                                                .inputs = {x},
                                                .layouts = {layout}});
      check_on_all_targets(cpu::kNativeReduce, {.name = cat(layout, channels),
                                                .op = "ReduceMean",
                                                .attributes = {{"keepdims", int64_t{0}}},
                                                .inputs = {x, axes({2, 3})},
                                                .layouts = {layout}});
    }
  }
}

// Where they are many: of each operator the parts are joined as what they have become.
TEST(NativeRows, RowsInParts) {
  for (const char* op : {"ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceSumSquare",
                         "ReduceL2", "ReduceL1"}) {
    for (const int64_t outer : {1, 2}) {
      Tensor x = random_tensor(DType::kFloat, {outer, 2001, 40}, 5);
      x.data<float>()[7] = NAN;
      check_on_all_targets(
          cpu::kNativeReduce,
          {.name = cat(op, outer), .op = op, .inputs = {x, axes({1})}, .constants = {1}});
    }
  }
}

TEST(NativeRows, PoolingSharesTheChannels) {
  for (const int64_t channels : {16, 33, 40}) {
    check_on_all_targets(cpu::kNativeReduce,
                         {.name = cat(channels),
                          .op = "GlobalAveragePool",
                          .inputs = {random_tensor(DType::kFloat, {1, channels, 60, 70}, 4)},
                          .layouts = {kChannelsLast}});
  }
}

TEST(NativeRows, LayerNormalization) {
  if (find_op("LayerNormalization") == nullptr) GTEST_SKIP() << "it has no row yet";
  for (const int64_t n : {1, 9, 16, 100, 768}) {
    const Tensor x = random_tensor(DType::kFloat, {3, 4, n}, 5, -3, 5);
    const Tensor scale = random_tensor(DType::kFloat, {n}, 6);
    const Tensor shift = random_tensor(DType::kFloat, {n}, 7);
    check_on_all_targets(
        cpu::kNativeLayerNorm,
        {.name = cat(n), .op = "LayerNormalization", .inputs = {x, scale, shift}, .outputs = 3});
    check_on_all_targets(
        cpu::kNativeLayerNorm,
        {.name = cat("no bias", n), .op = "LayerNormalization", .inputs = {x, scale}});
  }
}

TEST(NativeRows, GroupAndInstanceNormalization) {
  const Tensor scale = random_tensor(DType::kFloat, {6}, 6);
  const Tensor shift = random_tensor(DType::kFloat, {6}, 7);
  for (const Dims& dims : {Dims{2, 6}, Dims{2, 6, 1, 1}, Dims{3, 6, 5, 7}, Dims{1, 6, 40, 33}}) {
    const Tensor x = random_tensor(DType::kFloat, dims, 5, -3, 5);
    for (const int64_t groups : {1, 2, 6}) {
      check_on_all_targets(cpu::kNativeGroupNorm, {.name = cat(groups, " of ", shape_text(dims)),
                                                   .op = "GroupNormalization",
                                                   .attributes = {{"num_groups", groups}},
                                                   .inputs = {x, scale, shift}});
    }
    check_on_all_targets(cpu::kNativeGroupNorm, {.name = shape_text(dims),
                                                 .op = "InstanceNormalization",
                                                 .attributes = {{"epsilon", 0.01f}},
                                                 .inputs = {x, scale, shift}});
  }
}

}  // namespace
}  // namespace treadle::test

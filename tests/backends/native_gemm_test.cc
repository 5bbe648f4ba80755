#include "backends/cpu/native/gemm.h"

#include "backends/cpu/native/panels.h"
#include "backends/cpu/simd/simd.h"
#include "graph/ops/cast.h"
#include "graph/ops/op.h"
#include "tests/support/kernel_check.h"

namespace treadle::test {
namespace {

using cpu::kBlocked16;
using cpu::kChannelsLast;

Tensor numbers(Dims dims, uint64_t seed) {
  return random_tensor(DType::kFloat, std::move(dims), seed);
}

void check_on_all_targets(const KernelCase& c) {
  for (const std::string& target : cpu::simd_targets()) {
    SCOPED_TRACE(target);
    cpu::set_simd_target(target);
    check_kernel(cpu::kNativeGemm, c);
  }
  cpu::set_simd_target("");
}

TEST(NativeGemm, RowsColumnsAndDepthsOfAllSizes) {
  for (const int64_t m : {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 25}) {
    for (const int64_t n : {1, 8, 16, 17, 100, 130, 515}) {
      const int64_t k = m > 8 ? 5 : 37;
      check_on_all_targets({.name = cat(m, "x", k, "x", n),
                            .op = "MatMul",
                            .inputs = {numbers({m, k}, 1), numbers({k, n}, 2)},
                            .constants = {1}});
    }
  }
}

// Rows and columns that two threads divide unevenly; large enough for both to take part.
TEST(NativeGemm, SharesOfThreads) {
  for (const Dims& size : {Dims{49, 192, 600}, Dims{13, 600, 130}, Dims{25, 512, 96}}) {
    const KernelCase c{.name = shape_text(size),
                       .op = "FusedConv",
                       .attributes = {{"activation", "Swish"}, {"activation_alpha", 1.0f}},
                       .inputs = {numbers({1, size[1], 1, size[0]}, 1),
                                  numbers({size[2], size[1], 1, 1}, 2), numbers({size[2]}, 3)},
                       .layouts = {kChannelsLast},
                       .domain = "treadle",
                       .rtol = 1e-3,
                       .atol = 1e-3};
    check_on_all_targets(c);
  }
}

TEST(NativeGemm, GemmWithItsAttributes) {
  for (const int64_t trans : {0, 1}) {
    const Tensor b = trans != 0 ? numbers({20, 33}, 2) : numbers({33, 20}, 2);
    for (const float alpha : {1.0f, 0.5f}) {
      for (const float beta : {1.0f, 2.0f, 0.0f}) {
        check_on_all_targets({.name = cat(trans, alpha, beta),
                              .op = "Gemm",
                              .attributes = {{"transB", trans}, {"alpha", alpha}, {"beta", beta}},
                              .inputs = {numbers({3, 33}, 1), b, numbers({20}, 3)},
                              .constants = {1, 2}});
      }
    }
    check_on_all_targets({.name = "bias at run time",
                          .op = "Gemm",
                          .attributes = {{"transB", trans}},
                          .inputs = {numbers({1, 33}, 1), b, numbers({1, 20}, 3)},
                          .constants = {1}});
  }
}

TEST(NativeGemm, EpiloguesOfFusedProducts) {
  for (const char* activation : {"", "Relu", "Clip", "Sigmoid", "Tanh", "HardSigmoid", "HardSwish",
                                 "Swish", "Gelu", "GeluTanh", "LeakyRelu", "Elu"}) {
    const Attributes attributes{{"activation", std::string(activation)},
                                {"activation_alpha", 0.25f},
                                {"activation_beta", 0.75f}};
    for (const bool residual : {false, true}) {
      std::vector<Value> inputs{numbers({4, 18}, 1), numbers({18, 50}, 2), numbers({50}, 3)};
      if (residual) inputs.push_back(numbers({4, 50}, 4));
      for (const char* op : {"FusedGemm", "FusedMatMul"}) {
        check_on_all_targets({.name = cat(activation, residual),
                              .op = op,
                              .attributes = attributes,
                              .inputs = inputs,
                              .constants = {1, 2},
                              .domain = "treadle"});
      }
    }
  }
}

TEST(NativeGemm, ConvolutionsOfOnePixel) {
  for (const Layout layout : {kPlain, kBlocked16, kChannelsLast}) {
    for (const int64_t channels : {24, 32}) {
      check_on_all_targets({.name = cat(layout, channels),
                            .op = "Conv",
                            .inputs = {numbers({2, channels, 1, 1}, 1),
                                       numbers({40, channels, 1, 1}, 2), numbers({40}, 3)},
                            .constants = {1, 2},
                            .layouts = {layout}});
    }
  }
}

TEST(NativeGemm, ConvolutionsOfManyPixels) {
  for (const Layout layout : {kPlain, kBlocked16, kChannelsLast}) {
    for (const int64_t outputs : {24, 33, 520}) {
      for (const bool residual : {false, true}) {
        std::vector<Value> inputs{numbers({2, 40, 7, 9}, 1), numbers({outputs, 40, 1, 1}, 2),
                                  numbers({outputs}, 3)};
        if (residual) inputs.push_back(numbers({2, outputs, 7, 9}, 4));
        check_on_all_targets(
            {.name = cat(layout, " ", outputs, residual),
             .op = "FusedConv",
             .attributes = {{"activation", std::string("Swish")}, {"activation_alpha", 1.5f}},
             .inputs = inputs,
             .constants = {1, 2},
             .layouts = {layout},
             .domain = "treadle"});
      }
    }
  }
}

TEST(NativeGemm, LeavesConvolutionsWithStridesAlone) {
  KernelCase c{.name = "a stride and a pad at the end",
               .op = "FusedConv",
               .attributes = {{"activation", std::string("Swish")},
                              {"activation_alpha", 1.0f},
                              {"strides", std::vector<int64_t>{2}},
                              {"pads", std::vector<int64_t>{0, 1}}},
               .inputs = {numbers({1, 40, 2}, 1), numbers({24, 40, 1}, 2)},
               .constants = {1},
               .domain = "treadle"};
  EXPECT_EQ(reason(cpu::kNativeGemm, c), "shape");
}

// Deeper than is taken at once, and more rows than a block.
TEST(NativeGemm, LargeProductsInParts) {
  const auto check = [](Dims a, Dims b, const char* activation) {
    const int64_t n = b.back();
    const KernelCase c{.name = cat(shape_text(a), shape_text(b), activation),
                       .op = "FusedMatMul",
                       .attributes = {{"activation", std::string(activation)}},
                       .inputs = {numbers(a, 1), numbers(b, 2), numbers({n}, 3)},
                       .constants = {1, 2},
                       .domain = "treadle",
                       .rtol = 1e-3,
                       .atol = 1e-3};
    check_on_all_targets(c);
  };
  check({64, 512}, {512, 512}, "");
  check({29, 1600}, {1600, 200}, "Relu");
  check({1, 3500}, {3500, 70}, "");
  check({1400, 1600}, {1600, 33}, "Relu");
}

// Columns fewer than a vector's are dot products, of deep enough rows.
TEST(NativeGemm, FewColumns) {
  for (const int64_t n : {1, 4, 7, 10, 17}) {
    for (const int64_t k : {30, 64, 333, 1601}) {
      for (const int64_t m : {1, 5, 13}) {
        const KernelCase c{
            .name = cat(m, " x ", n, " x ", k),
            .op = "FusedMatMul",
            .attributes = {{"activation", std::string("Clip")},
                           {"activation_alpha", -1.5F},
                           {"activation_beta", 2.0F}},
            .inputs = {numbers({m, k}, 1), numbers({k, n}, 2), numbers({n}, 3), numbers({m, n}, 4)},
            .constants = {1, 2},
            .domain = "treadle",
            .rtol = 1e-4,
            .atol = 1e-4};
        check_on_all_targets(c);
      }
    }
  }
}

// y of rows of ones and halves by panels of n columns.
std::vector<float> multiplied(const cpu::Panels& panels, const cpu::PanelSource& m, size_t rows) {
  std::vector<float> a(rows * static_cast<size_t>(m.k));
  for (size_t i = 0; i < a.size(); ++i) a[i] = i % 3 == 0 ? 1.0F : 0.5F;
  std::vector<float> y(rows * static_cast<size_t>(m.n));
  cpu::gemm_functions().multiply({.a = a.data(),
                                  .a_stride = static_cast<size_t>(m.k),
                                  .panels = panels.at(0),
                                  .k = static_cast<size_t>(m.k),
                                  .bias = nullptr,
                                  .y = y.data(),
                                  .y_stride = static_cast<size_t>(m.n),
                                  .rows = rows,
                                  .columns = static_cast<size_t>(m.n),
                                  .form = panels.form});
  return y;
}

// A classifier of equal columns has equal classes, however large they are.
TEST(NativeGemm, EqualColumnsGiveEqualResults) {
  constexpr int64_t kRows = 13, kDepth = 333;
  for (const std::string& target : cpu::simd_targets()) {
    cpu::set_simd_target(target);
    for (const int64_t n : {3, 7, 20, 36, 100}) {
      const cpu::PanelSource m{.n = n, .k = kDepth, .row = 1, .column = 0};
      const cpu::Panels panels = cpu::packed_panels(numbers({kDepth}, 1), m, {});
      const std::vector<float> y = multiplied(panels, m, kRows);
      for (int64_t r = 0; r < kRows; ++r) {
        for (int64_t c = 1; c < n; ++c)
          ASSERT_EQ(y[static_cast<size_t>(r * n + c)], y[static_cast<size_t>(r * n)]) << target;
      }
    }
  }
  cpu::set_simd_target("");
}

// Numbers that were of 16 bits; bfloat16's are beyond float16's range.
Tensor narrow_numbers(cpu::PanelForm form, Dims dims) {
  const bool bfloat = form == cpu::PanelForm::kBfloat16;
  const Tensor halves =
      random_tensor(bfloat ? DType::kBfloat16 : DType::kFloat16, std::move(dims), 7);
  Tensor t = cast_tensor(halves, DType::kFloat);
  for (float& x : t.data<float>()) x *= bfloat ? 0x1p100F : 1.0F;
  return t;
}

TEST(NativeGemm, PanelsOfSixteenBitsGiveTheSame) {
  for (const std::string& target : cpu::simd_targets()) {
    cpu::set_simd_target(target);
    for (const auto form : {cpu::PanelForm::kFloat16, cpu::PanelForm::kBfloat16}) {
      for (const int64_t n : {1, 7, 16, 33, 130}) {
        for (const int64_t k : {1, 5, 40}) {
          const Tensor b = narrow_numbers(form, {k, n});
          const cpu::PanelSource m{.n = n, .k = k, .row = n, .column = 1};
          const cpu::Panels narrow = cpu::narrow_panels(b, m, {});
          const cpu::Panels wide = cpu::packed_panels(b, m, {});
          if (wide.form == cpu::PanelForm::kTurned) {
            EXPECT_EQ(narrow.form, wide.form);  // is small as it is
            continue;
          }
          ASSERT_EQ(narrow.form, form) << n << ' ' << k;
          EXPECT_LT(narrow.numbers->size(), wide.numbers->size());
          for (size_t rows = 1; rows <= 2 * cpu::kNarrowRows + 1; ++rows)
            EXPECT_EQ(multiplied(narrow, m, rows), multiplied(wide, m, rows)) << target << rows;
        }
      }
    }
  }
  cpu::set_simd_target("");
}

// One number of many that needs more than 16 bits.
TEST(NativeGemm, PanelsStayFloatsWhereOneNumberNeedsThem) {
  Tensor b = narrow_numbers(cpu::PanelForm::kFloat16, {40, 33});
  b.data<float>().back() = 1.0F / 3;
  const cpu::PanelSource m{.n = 33, .k = 40, .row = 33, .column = 1};
  PackCache packs;
  const cpu::Panels panels = cpu::narrow_panels(b, m, {.packs = &packs});
  EXPECT_EQ(panels.form, cpu::PanelForm::kFloat);
  EXPECT_EQ(panels.numbers, cpu::packed_panels(b, m, {.packs = &packs}).numbers);
  EXPECT_EQ(packs.bytes(), panels.numbers->size());
}

}  // namespace
}  // namespace treadle::test

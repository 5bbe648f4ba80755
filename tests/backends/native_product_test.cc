#include "backends/cpu/native/product.h"

#include "backends/cpu/simd/simd.h"
#include "tests/support/kernel_check.h"

namespace treadle::test {
namespace {

Tensor numbers(Dims dims, uint64_t seed) {
  return random_tensor(DType::kFloat, std::move(dims), seed);
}

void check_on_all_targets(const cpu::Family& family, const KernelCase& c) {
  for (const std::string& target : cpu::simd_targets()) {
    SCOPED_TRACE(target);
    cpu::set_simd_target(target);
    check_kernel(family, c);
  }
  cpu::set_simd_target("");
}

// [rows, columns], or the same transposed.
Dims matrix(int64_t rows, int64_t columns, int64_t transposed) {
  return transposed != 0 ? Dims{columns, rows} : Dims{rows, columns};
}

TEST(NativeProduct, RowsColumnsAndDepthsOfAllSizes) {
  for (const int64_t ta : {0, 1}) {
    for (const int64_t tb : {0, 1}) {
      for (const int64_t m : {1, 5, 6, 13, 25}) {
        for (const int64_t n : {1, 8, 16, 33, 52}) {
          for (const int64_t k : {1, 3, 16, 17, 259, 515}) {
            check_on_all_targets(
                cpu::kNativeProduct,
                {.name = cat(m, "x", k, "x", n, ta, tb),
                 .op = "Gemm",
                 .attributes = {{"transA", ta}, {"transB", tb}},
                 .inputs = {numbers(matrix(m, k, ta), 1), numbers(matrix(k, n, tb), 2)},
                 .constants = {}});
          }
        }
      }
    }
  }
}

TEST(NativeProduct, BiasScaleAndActivation) {
  for (const char* activation : {"", "Relu", "Gelu"}) {
    check_on_all_targets(
        cpu::kNativeProduct,
        {.name = activation,
         .op = "FusedGemm",
         .attributes = {{"transB", int64_t{1}}, {"activation", std::string(activation)}},
         .inputs = {numbers({3, 300}, 1), numbers({600, 300}, 2), numbers({600}, 3)},
         .constants = {},
         .domain = "treadle"});
  }
  check_on_all_targets(cpu::kNativeProduct, {.name = "scaled",
                                             .op = "Gemm",
                                             .attributes = {{"alpha", 0.5f}},
                                             .inputs = {numbers({7, 30}, 1), numbers({30, 5}, 2)},
                                             .constants = {}});
}

// Batches, a broadcast side, blocks of rows and columns and their remainders.
TEST(NativeProduct, ManyMatrices) {
  const auto check = [](Dims a, Dims b, int64_t ta, int64_t tb) {
    check_on_all_targets(cpu::kNativeProduct, {.name = cat(shape_text(a), shape_text(b)),
                                               .op = "FusedMatMul",
                                               .attributes = {{"transA", ta}, {"transB", tb}},
                                               .inputs = {numbers(a, 1), numbers(b, 2)},
                                               .constants = {},
                                               .domain = "treadle"});
  };
  check({3, 2, 7, 20}, {3, 2, 20, 17}, 0, 0);
  check({3, 1, 20, 7}, {2, 17, 20}, 1, 1);
  check({5, 7, 20}, {20, 17}, 0, 0);
  check({5, 20, 7}, {20, 17}, 1, 0);
  check({200, 300}, {300, 520}, 0, 0);
  check({300, 200}, {520, 300}, 1, 1);
  check({1, 300}, {4, 300, 520}, 0, 0);
  check({300}, {4, 300, 5}, 0, 0);
  check({4, 5, 300}, {300}, 0, 0);
}

TEST(NativeProduct, ResidualBesideBias) {
  for (const bool bias : {false, true}) {
    for (const char* activation : {"", "Relu"}) {
      check_on_all_targets(
          cpu::kNativeProduct,
          {.name = cat(bias, activation),
           .op = "FusedGemm",
           .attributes = {{"activation", std::string(activation)}},
           .inputs = {numbers({100, 30}, 1), numbers({30, 21}, 2),
                      bias ? Value(numbers({21}, 3)) : Value(), numbers({100, 21}, 4)},
           .constants = {},
           .domain = "treadle"});
    }
  }
}

TEST(NativeGemmUpdate, InPlaceAndNot) {
  for (const int64_t ta : {0, 1}) {
    for (const int64_t k : {9, 300}) {
      for (const bool on : {true, false}) {
        check_on_all_targets(
            cpu::kNativeGemmUpdate,
            {.name = cat(ta, k, on),
             .op = "GemmUpdate",
             .attributes = {{"transA", ta}, {"alpha", 2.0f}},
             .inputs = {numbers({13, 40}, 1), numbers(matrix(13, k, ta), 2), numbers({k, 40}, 3),
                        Tensor::scalar<float>(0.25f), Tensor::scalar<bool>(on)},
             .constants = {},
             .domain = "treadle"});
      }
    }
  }
}

}  // namespace
}  // namespace treadle::test

// Matrix products through oneDNN against the reference.
#include "backends/cpu/onednn/matmul.h"
#include "tests/support/kernel_check.h"

namespace treadle::test {
namespace {

Value rnd(Dims dims, uint64_t seed) { return random_tensor(DType::kFloat, std::move(dims), seed); }

void check_matmul(const std::string& name, const Dims& a, const Dims& b) {
  KernelCase c{.name = name, .op = "MatMul", .inputs = {rnd(a, 1), rnd(b, 2)}};
  check_kernel(cpu::kOnednnMatMul, c);
  c.constants = {};
  check_kernel(cpu::kOnednnMatMul, c);
}

TEST(OnednnMatMul, Shapes) {
  check_matmul("matrices", {5, 33}, {33, 17});
  check_matmul("row", {1, 64}, {64, 10});
  check_matmul("vector_a", {33}, {33, 17});
  check_matmul("vector_b", {5, 33}, {33});
  check_matmul("vectors", {33}, {33});
  check_matmul("batch_rows", {3, 5, 33}, {33, 17});
  check_matmul("batches", {2, 3, 5, 8}, {2, 3, 8, 7});
  check_matmul("broadcast_a", {1, 3, 5, 8}, {2, 1, 8, 7});
  check_matmul("broadcast_rank", {5, 8}, {2, 8, 7});
  check_matmul("batch_vector", {4, 5, 8}, {8});
  check_matmul("single", {1, 1}, {1, 1});
}

void check_gemm(const std::string& name, const Dims& c, float alpha, float beta) {
  for (const int64_t trans_a : {0, 1}) {
    for (const int64_t trans_b : {0, 1}) {
      KernelCase k{.name = cat(name, trans_a, trans_b),
                   .op = "Gemm",
                   .attributes = {{"alpha", alpha},
                                  {"beta", beta},
                                  {"transA", trans_a},
                                  {"transB", trans_b}},
                   .inputs = {rnd(trans_a != 0 ? Dims{33, 6} : Dims{6, 33}, 1),
                              rnd(trans_b != 0 ? Dims{17, 33} : Dims{33, 17}, 2), rnd(c, 3)}};
      check_kernel(cpu::kOnednnMatMul, k);
      k.constants = {};
      check_kernel(cpu::kOnednnMatMul, k);
      k.inputs.pop_back();
      check_kernel(cpu::kOnednnMatMul, k);
    }
  }
}

TEST(OnednnMatMul, Gemm) {
  check_gemm("bias", {17}, 1, 1);
  check_gemm("row", {1, 17}, 1, 1);
  check_gemm("column", {6, 1}, 1, 1);
  check_gemm("full", {6, 17}, 1, 1);
  check_gemm("one", {1}, 1, 1);
  check_gemm("scalar", {}, 1, 1);
  check_gemm("scaled", {17}, 0.5f, 3);
  check_gemm("scaled_full", {6, 17}, -2, 0.25f);
  check_gemm("no_beta", {6, 17}, 2, 0);
}

TEST(OnednnMatMul, Epilogues) {
  for (const char* op : {"FusedGemm", "FusedMatMul"}) {
    for (const char* activation : {"", "Relu", "Gelu", "Swish"}) {
      for (const float alpha : {1.0f, 0.5f}) {
        KernelCase c{.name = cat(activation, alpha),
                     .op = op,
                     .attributes = {{"activation", activation},
                                    {"activation_alpha", 1.0f},
                                    {"alpha", alpha},
                                    {"transB", int64_t{1}}},
                     .inputs = {rnd({6, 33}, 1), rnd({17, 33}, 2), rnd({17}, 3), rnd({6, 17}, 4)},
                     .domain = "treadle"};
        check_kernel(cpu::kOnednnMatMul, c);
        c.inputs[2] = Value{};
        check_kernel(cpu::kOnednnMatMul, c);
        c.constants = {};
        check_kernel(cpu::kOnednnMatMul, c);
      }
    }
  }
}

// Two threads take 66 and 67 rows.
TEST(OnednnMatMul, SharesRows) {
  check_matmul("rows", {133, 33}, {33, 70});
  check_matmul("batch", {7, 19, 33}, {33, 70});
  for (const Dims& addend : {Dims{70}, Dims{1}, Dims{133, 1}, Dims{133, 70}}) {
    KernelCase c{.name = cat("addend ", shape_text(addend)),
                 .op = "FusedGemm",
                 .attributes = {{"activation", "Relu"}, {"alpha", 0.5f}},
                 .inputs = {rnd({133, 33}, 1), rnd({33, 70}, 2), rnd(addend, 3)},
                 .domain = "treadle"};
    check_kernel(cpu::kOnednnMatMul, c);
    c.inputs.push_back(rnd({133, 70}, 4));
    check_kernel(cpu::kOnednnMatMul, c);
  }
}

TEST(OnednnMatMul, FusedBatches) {
  KernelCase c{.name = "batches",
               .op = "FusedMatMul",
               .attributes = {{"alpha", 0.125f}, {"transB", int64_t{1}}},
               .inputs = {rnd({2, 3, 5, 8}, 1), rnd({2, 3, 7, 8}, 2)},
               .constants = {},
               .domain = "treadle"};
  check_kernel(cpu::kOnednnMatMul, c);
  c.inputs.push_back(rnd({7}, 3));
  check_kernel(cpu::kOnednnMatMul, c);
  c.attributes.set("transA", int64_t{1});
  c.inputs = {rnd({2, 1, 8, 5}, 1), rnd({1, 3, 7, 8}, 2), rnd({7}, 3), rnd({2, 3, 5, 7}, 4)};
  check_kernel(cpu::kOnednnMatMul, c);
}

TEST(OnednnMatMul, Reasons) {
  KernelCase c{
      .name = "types", .op = "MatMul", .inputs = {i32({1, 2}, {1, 2}), i32({2, 1}, {1, 2})}};
  EXPECT_EQ(reason(cpu::kOnednnMatMul, c), "dtype int32");
  c.inputs = {rnd({2, 0}, 1), rnd({0, 3}, 1)};
  EXPECT_EQ(reason(cpu::kOnednnMatMul, c), "empty tensor");
}

}  // namespace
}  // namespace treadle::test

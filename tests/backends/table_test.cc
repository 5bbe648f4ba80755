// The CPU backend's table of kernels.
#include "backends/cpu/table.h"

#include <gtest/gtest.h>

#include "backends/cpu/cpu.h"
#include "graph/ops/op.h"
#include "tests/support/ways.h"

namespace treadle::test {
namespace {

TEST(CpuTable, NamesOperatorsThatHaveRows) {
  EXPECT_FALSE(cpu::candidates().empty());
  for (const cpu::Candidate& c : cpu::candidates()) {
    EXPECT_NE(find_op(c.kind, c.domain), nullptr) << c.domain << " " << c.kind;
  }
}

// Of a product [rows, 1024] by [1024, 1024], both of the run.
std::string kernel_of(int64_t rows) {
  Node node;
  node.op = find_op("MatMul");
  const TensorSpec a{DType::kFloat, {rows, 1024}}, b{DType::kFloat, {1024, 1024}};
  return cpu_backend().compile({&node, {a, b}, {a}, {{}, {}}}, {.threads = 1}).name;
}

TEST(CpuTable, ForcedKernelsComeFirst) {
  EXPECT_EQ(kernel_of(1), "native product");
  EXPECT_TRUE(kernel_of(256).starts_with("onednn"));
  force_cpu_kernels("onednn");
  EXPECT_TRUE(kernel_of(1).starts_with("onednn"));
  force_cpu_kernels("native");
  EXPECT_EQ(kernel_of(256), "native product");
  force_cpu_kernels("winograd");  // of which a product has none
  EXPECT_EQ(kernel_of(1), "native product");
  force_cpu_kernels("");
  EXPECT_TRUE(kernel_of(256).starts_with("onednn"));
  expect_error("there are: native, onednn, tiles, winograd", "fastest",
               [] { force_cpu_kernels("fastest"); });
}

// Faster ones first; the slower still before the reference.
TEST(CpuTable, SlowerKernelsAreTheLastResort) {
  Node node;
  node.op = find_op("MatMul");
  Dims dims(13, 1);  // more than oneDNN takes
  dims[11] = dims[12] = 1024;
  const TensorSpec t{DType::kFloat, dims};
  EXPECT_EQ(cpu_backend().compile({&node, {t, t}, {t}, {{}, {}}}, {.threads = 1}).name,
            "native product");
}

}  // namespace
}  // namespace treadle::test

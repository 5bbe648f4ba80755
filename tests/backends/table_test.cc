// The CPU backend's table of kernels.
#include "backends/cpu/table.h"

#include <gtest/gtest.h>

#include "graph/ops/op.h"

namespace treadle::test {
namespace {

TEST(CpuTable, NamesOperatorsThatHaveRows) {
  EXPECT_FALSE(cpu::candidates().empty());
  for (const cpu::Candidate& c : cpu::candidates()) {
    EXPECT_NE(find_op(c.kind, c.domain), nullptr) << c.domain << " " << c.kind;
  }
}

}  // namespace
}  // namespace treadle::test

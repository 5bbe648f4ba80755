// Every operator of ONNX is differentiated, declared to have no gradient, or refused by name.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "graph/ops/op.h"
#include "training/gradient.h"

namespace treadle::test {
namespace {

std::vector<std::string> operators_that_are(GradientKind kind) {
  std::vector<std::string> list;
  for (const Op& op : all_ops()) {
    if (gradient_support(op).kind == kind) list.push_back(op.full_name());
  }
  return list;
}

TEST(Coverage, NoOperatorIsMissing) {
  EXPECT_THAT(operators_that_are(GradientKind::kMissing), testing::IsEmpty());
}

}  // namespace
}  // namespace treadle::test

// Every operator of ONNX is differentiated, declared to have no gradient, or refused by name.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

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

// Convolutions, pools, normalizations and losses, whose rules are on their way.
const std::set<std::string> kExpected = {
    "AveragePool",
    "BatchNormalization",
    "Conv",
    "ConvTranspose",
    "Dropout",
    "GlobalAveragePool",
    "GlobalLpPool",
    "GlobalMaxPool",
    "GroupNormalization",
    "InstanceNormalization",
    "LRN",
    "LayerNormalization",
    "LpNormalization",
    "LpPool",
    "MaxPool",
    "MaxUnpool",
    "NegativeLogLikelihoodLoss",
    "RMSNormalization",
    "SoftmaxCrossEntropyLoss",
};

TEST(Coverage, NoOperatorIsMissing) {
  std::vector<std::string> missing;
  for (const std::string& name : operators_that_are(GradientKind::kMissing)) {
    if (!kExpected.contains(name)) missing.push_back(name);
  }
  EXPECT_THAT(missing, testing::IsEmpty());
}

}  // namespace
}  // namespace treadle::test

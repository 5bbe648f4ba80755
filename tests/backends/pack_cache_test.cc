#include <gtest/gtest.h>

#include "backends/backend.h"
#include "tests/support/kernel_check.h"

namespace treadle::test {
namespace {

std::shared_ptr<Buffer> copied(const Tensor& plain) { return plain.clone().buffer(); }

TEST(PackCache, SharesOneFormOfOneTensor) {
  PackCache packs;
  const Tensor w = random_tensor(DType::kFloat, {4, 6}, 1);
  const auto first = packs.get(w, "form", copied);
  EXPECT_EQ(packs.get(w, "form", copied), first);
  EXPECT_NE(packs.get(w, "another form", copied), first);
}

// As two convolutions have them that read a weight and its Reshape.
TEST(PackCache, TellsApartOneBufferInTwoShapes) {
  PackCache packs;
  const Tensor w = random_tensor(DType::kFloat, {4, 6}, 1);
  const auto first = packs.get(w, "form", copied);
  EXPECT_NE(packs.get(w.reshaped({6, 4}), "form", copied), first);
  EXPECT_EQ(packs.get(w.reshaped({4, 6}), "form", copied), first);
}

}  // namespace
}  // namespace treadle::test

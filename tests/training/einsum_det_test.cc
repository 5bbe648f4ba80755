// Gradients of Einsum and Det.
#include <gtest/gtest.h>

#include "graph/text.h"
#include "tests/support/gradcheck.h"
#include "tests/support/tensors.h"

namespace treadle::test {
namespace {

const Gradcheck kTwice{.order = 2};

TEST(EinsumGradient, RepeatedLabelsEllipsesAndLonelyLabels) {
  for (const auto& [inputs, equation] : std::initializer_list<std::pair<const char*, const char*>>{
           {"double[2, 3] a, double[3, 4] b", "ij,jk->ik"},
           {"double[2, 3] a, double[3, 4] b", "ij,jk"},
           {"double[3, 3] a", "ii->i"},
           {"double[3, 3] a", "ii"},
           {"double[2, 3, 3] a, double[3] b", "kii,i->k"},
           {"double[2, 3] a, double[4] b", "ij,k->i"},
           {"double[2, 3] a", "ij->"},
           {"double[5, 2, 3] a, double[5, 3, 2] b", "...ij,...ji->...i"},
           {"double[2, 2, 3] a, double[3] b", "...i,i"},
           {"double[2, 1, 3] a, double[4, 3] b", "bij,ij->bij"},
           {"double[2, 3] a, double[2, 3] b, double[3] c", "ij,ij,j->i"}}) {
    expect_gradients(
        std::string("f (") + inputs + ") => (y) { y = Einsum <equation = \"" + equation + "\"> (" +
            (std::string(inputs).find(" b") != std::string::npos
                 ? std::string(inputs).find(" c") != std::string::npos ? "a, b, c" : "a, b"
                 : "a") +
            ") }",
        kTwice);
  }
}

TEST(DetGradient, AlsoOfSingularMatrices) {
  expect_gradients("f (double[2, 3, 3] x) => (y) { y = Det (x) }", kTwice);
  expect_gradients("f (double[1, 1] x) => (y) { y = Det (x) }", kTwice);
  const Graph g = parse("f (double[2, 2] x) => (double y) { y = Det (x) }");
  EXPECT_EQ(
      difference(gradients_at(g, {f64({2, 2}, {1, 2, 2, 4})})[0], f64({2, 2}, {4, -2, -2, 1})), "");
}

}  // namespace
}  // namespace treadle::test

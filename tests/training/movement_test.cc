// Gradients of what moves, picks and places elements.
#include <gtest/gtest.h>

#include "graph/text.h"
#include "tests/support/gradcheck.h"
#include "tests/support/tensors.h"

namespace treadle::test {
namespace {

const Gradcheck kTwice{.order = 2};

void check(const std::string& signature, const std::string& constants, const std::string& node) {
  expect_gradients("f (" + signature + ") => (y) <" + constants + "> { y = " + node + " }", kTwice);
}

TEST(Gradients, Shapes) {
  check("double[2, 3] x", "int64[2] s = {3, -1}", "Reshape (x, s)");
  check("double[2, 3, 4] x", "float k = {0}", "Flatten <axis = 2> (x)");
  check("double[2, 1, 4] x", "int64[1] a = {1}", "Squeeze (x, a)");
  check("double[2, 4] x", "int64[2] a = {0, -1}", "Unsqueeze (x, a)");
  check("double[2, 1, 4] x", "int64[4] s = {3, 1, 5, 4}", "Expand (x, s)");
  check("double[2, 3, 4] x", "float k = {0}", "Transpose <perm = [2, 0, 1]> (x)");
  check("double[2, 3] x", "float k = {0}", "Transpose (x)");
  check("double[2, 3] x", "int64[2] r = {2, 3}", "Tile (x, r)");
  check("double[1, 8, 2, 3] x", "float k = {0}", "DepthToSpace <blocksize = 2> (x)");
  check("double[1, 8, 2, 3] x", "float k = {0}",
        "DepthToSpace <blocksize = 2, mode = \"CRD\"> (x)");
  check("double[1, 2, 4, 6] x", "float k = {0}", "SpaceToDepth <blocksize = 2> (x)");
  check("double[4, 3] x", "int64 k = {1}", "Trilu <upper = 0> (x, k)");
  check("double[4, 3] x", "int64[3] l = {1, 4, 2}", "ReverseSequence (x, l)");
}

TEST(Gradients, ConcatAndSplit) {
  check("double[2, 3] a, double[2, 1] b, double[2, 0] z", "float k = {0}",
        "Concat <axis = -1> (a, b, z)");
  expect_gradients(
      "f (double[5, 2] x) => (y) <int64[2] s = {2, 3}> { a, b = Split (x, s)\n y = Mul (b, b) }",
      kTwice);
  expect_gradients("f (double[5, 2] x) => (a, b) <int64[2] s = {2, 3}> { a, b = Split (x, s) }",
                   kTwice);
}

TEST(Gradients, Slices) {
  check("double[5, 4] x", "int64[2] b = {1, -3}, int64[2] e = {4, 9}, int64[2] a = {0, 1}",
        "Slice (x, b, e, a)");
  check("double[5, 4] x",
        "int64[1] b = {-1}, int64[1] e = {-9}, int64[1] a = {0}, int64[1] s = {-2}",
        "Slice (x, b, e, a, s)");
  check("double[5, 4] x", "int64[1] b = {3}, int64[1] e = {1}, int64[1] a = {0}",
        "Slice (x, b, e, a)");
}

TEST(Gradients, Pads) {
  check("double[3, 4] x, double v", "int64[4] p = {1, 0, 2, 1}", "Pad (x, p, v)");
  check("double[3, 4] x, double v", "int64[4] p = {-1, 2, 0, -1}", "Pad (x, p, v)");
  for (const char* mode : {"reflect", "edge", "wrap"}) {
    check("double[3, 4] x", "int64[4] p = {1, 2, 2, 1}", cat("Pad <mode = \"", mode, "\"> (x, p)"));
  }
  check("double[3, 4] x", "int64[2] s = {2, 6}", "CenterCropPad (x, s)");
}

TEST(Gradients, GathersAccumulateNegativeAndRepeatedIndices) {
  for (int axis : {0, 1, -1}) {
    check("double[3, 4, 2] x", "int64[2, 2] i = {0, -1, 1, 1}",
          cat("Gather <axis = ", axis, "> (x, i)"));
  }
  check("double[3] x", "int64 i = {-1}", "Gather (x, i)");
  check("double[3, 2] x", "int64[2, 2] i = {0, -1, 2, 2}", "GatherElements <axis = 0> (x, i)");
  check("double[3, 2] x", "int64[3, 1] i = {0, -1, 2}", "GatherND (x, i)");
  check("double[3, 2, 2] x", "int64[3, 2, 1] i = {0, 1, -1, 1, 0, 0}",
        "GatherND <batch_dims = 1> (x, i)");
}

TEST(Gradients, Scatters) {
  for (const char* how : {"none", "add", "mul", "max", "min"}) {
    check("double[4, 2] x, double[2, 2] u", "int64[2, 2] i = {1, -1, 1, 0}",
          cat("ScatterElements <reduction = \"", how, "\"> (x, i, u)"));
    check("double[4, 2] x, double[3, 2] u", "int64[3, 1] i = {1, -1, 1}",
          cat("ScatterND <reduction = \"", how, "\"> (x, i, u)"));
  }
  check("double[1, 2, 4, 2] x, double[1, 2, 1, 2] u", "int64[1] i = {2}",
        "TensorScatter (x, u, i)");
}

TEST(Gradients, ScatterMulByZero) {
  const Graph g = parse(
      "f (double[2] x, double[2] u) => (double[2] y) <int64[2] i = {0, 0}> { y = ScatterElements "
      "<reduction = \"mul\"> (x, i, u) }");
  const auto got = gradients_at(g, {f64({2}, {3, 5}), f64({2}, {0, 2})});
  EXPECT_EQ(difference(got[0], f64({2}, {0, 1})), "");
  EXPECT_EQ(difference(got[1], f64({2}, {6, 0})), "");
}

TEST(Gradients, Choices) {
  expect_gradients("f (double[3, 4] x) => (y) <int64[1] k = {2}> { y, i = TopK <axis = 0> (x, k) }",
                   kTwice);
  check("double[5] x", "int64 a = {0}", "CumSum <exclusive = 1> (x, a)");
  check("double[2, 5] x", "int64 a = {-1}", "CumSum <reverse = 1> (x, a)");
  check("double[2, 4] x", "int64 a = {1}", "CumProd (x, a)");
  check("double[2, 4] x", "int64 a = {1}", "CumProd <exclusive = 1, reverse = 1> (x, a)");
  check("double[4, 2] x", "bool[3] k = {1, 0, 1}", "Compress <axis = 0> (x, k)");
  check("double[2] v", "int64[3] i = {0, 2, -1}, int64 d = {4}", "OneHot (i, d, v)");
  expect_gradients("f (double[6] x) => (y) { y, i, n, c = Unique (x) }", kTwice);
}

TEST(Gradients, CumProdPastAZero) {
  const Graph g = parse("f (double[4] x) => (double[4] y) <int64 a = {0}> { y = CumProd (x, a) }");
  EXPECT_EQ(difference(gradients_at(g, {f64({4}, {2, 0, 3, 0})})[0], f64({4}, {1, 8, 0, 0})), "");
}

// The derivatives of the derivatives of products at zeros: the Hessian of x y z.
TEST(Gradients, OfProductsAtZerosAgain) {
  for (const char* node : {"ReduceProd <keepdims = 0> (x)", "CumProd (x, a)"}) {
    const Graph g = parse(cat("f (double[3] x) => (y) <int64 a = {0}> { y = ", node, " }"));
    for (const auto& at : {std::vector<double>{0, 0, 2}, {0, 3, 0}, {0, 0, 0}}) {
      EXPECT_EQ(gradcheck(g, {f64({3}, at)}, {.order = 3}), "") << node;
    }
  }
  check("double[2, 3, 2] x", "int64[2] a = {2, 0}", "ReduceProd (x, a)");
}

}  // namespace
}  // namespace treadle::test

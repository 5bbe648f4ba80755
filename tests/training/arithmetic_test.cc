// Gradients of elementwise functions, products, reductions: shapes, broadcasts, kinks.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "graph/text.h"
#include "tests/support/gradcheck.h"
#include "tests/support/tensors.h"

namespace treadle::test {
namespace {

const Gradcheck kTwice{.order = 2};

// The gradient of the sum of the results of one node at the given points.
Value slope(const std::string& node, const std::vector<double>& at) {
  const std::string n = std::to_string(at.size());
  const Graph g = parse("f (double[" + n + "] x) => (double[" + n + "] y) { y = " + node + " }");
  return gradients_at(g, {f64({static_cast<int64_t>(at.size())}, at)})[0];
}

void expect_slope(const std::string& node, const std::vector<double>& at,
                  const std::vector<double>& want) {
  const Value expected = f64({static_cast<int64_t>(want.size())}, want);
  EXPECT_EQ(difference(slope(node, at), expected), "") << node;
}

TEST(Kinks, OfOneInput) {
  expect_slope("Relu (x)", {0, -1, 1}, {0, 0, 1});
  expect_slope("Abs (x)", {0, -1}, {0, -1});
  expect_slope("LeakyRelu <alpha = 0.5> (x)", {0, 1}, {0.5, 1});
  expect_slope("Elu <alpha = 0.5> (x)", {0, 1}, {0.5, 1});
  expect_slope("HardSwish (x)", {-3, 3, 4, -4}, {0, 1, 1, 0});
  expect_slope("HardSigmoid (x)", {-2.5, 2.5, 0}, {0, 0, static_cast<double>(0.2f)});
  expect_slope("Sqrt (x)", {0, 4}, {std::numeric_limits<double>::infinity(), 0.25});
  expect_slope("ThresholdedRelu <alpha = 1> (x)", {1, 2}, {0, 1});
}

TEST(Kinks, OfSeveralInputs) {
  const Graph max =
      parse("f (double[2] a, double[2] b, double[2] c) => (double[2] y) { y = Max (a, b, c) }");
  const auto shares = gradients_at(max, {f64({2}, {1, 2}), f64({2}, {1, 2}), f64({2}, {0, 2})});
  EXPECT_EQ(difference(shares[0], f64({2}, {0.5, 1.0 / 3})), "");
  EXPECT_EQ(difference(shares[2], f64({2}, {0, 1.0 / 3})), "");
  const Graph clip =
      parse("f (double[4] x, double l, double h) => (double[4] y) { y = Clip (x, l, h) }");
  const auto bounds = gradients_at(
      clip, {f64({4}, {-1, 0, 1, 2}), Tensor::scalar<double>(0), Tensor::scalar<double>(1)});
  EXPECT_EQ(difference(bounds[0], f64({4}, {0, 1, 1, 0})), "");
  EXPECT_EQ(difference(bounds[1], Tensor::scalar<double>(1)), "");
  EXPECT_EQ(difference(bounds[2], Tensor::scalar<double>(1)), "");
}

TEST(Kinks, OfPow) {
  const Graph pow = parse("f (double[3] x, double[3] e) => (double[3] y) { y = Pow (x, e) }");
  const auto got = gradients_at(pow, {f64({3}, {0, 0, 2}), f64({3}, {0, 2, 0})});
  EXPECT_EQ(difference(got[0], f64({3}, {0, 0, 0})), "");
  EXPECT_EQ(difference(got[1], f64({3}, {0, 0, std::log(2.0)})), "");
}

TEST(Kinks, OfReductions) { expect_slope("ReduceL2 <keepdims = 1> (x)", {0, 0}, {0, 0}); }

TEST(Kinks, OfReductionsToOne) {
  const Graph prod = parse("f (double[2] x) => (double y) { y = ReduceProd <keepdims = 0> (x) }");
  EXPECT_EQ(difference(gradients_at(prod, {f64({2}, {0, 2})})[0], f64({2}, {2, 0})), "");
  const Graph max = parse("f (double[3] x) => (double y) { y = ReduceMax <keepdims = 0> (x) }");
  EXPECT_EQ(difference(gradients_at(max, {f64({3}, {5, 5, 1})})[0], f64({3}, {0.5, 0.5, 0})), "");
}

TEST(Gradients, OfOneInput) {
  for (const char* kind :
       {"Relu",  "Neg",      "Abs",         "Sigmoid", "Tanh",      "Exp",       "Erf",  "Sin",
        "Cos",   "Tan",      "Asin",        "Acos",    "Atan",      "Sinh",      "Cosh", "Asinh",
        "Atanh", "Softplus", "Softsign",    "Mish",    "HardSwish", "LeakyRelu", "Elu",  "Celu",
        "Selu",  "Shrink",   "HardSigmoid", "Swish",   "Gelu"}) {
    expect_gradients(cat("f (double[3, 4] x) => (double[3, 4] y) { y = ", kind, " (x) }"), kTwice,
                     -0.9, 0.9);
  }
  for (const char* node :
       {"Log (x)", "Sqrt (x)", "Reciprocal (x)", "Acosh (x)", "ThresholdedRelu <alpha = 2> (x)",
        "Gelu <approximate = \"tanh\"> (x)", "Swish <alpha = 0.3> (x)", "Celu <alpha = 0.5> (x)"}) {
    expect_gradients(cat("f (double[7] x) => (double[7] y) { y = ", node, " }"), kTwice, 1.5, 3);
  }
}

TEST(Gradients, Broadcast) {
  for (const char* kind : {"Add", "Sub", "Mul", "Div", "Pow", "Max", "Min", "Mean", "Sum"}) {
    for (const char* shapes :
         {"double[2, 3] a, double[2, 3] b", "double[2, 3] a, double[3] b",
          "double[2, 1] a, double[1, 3] b", "double a, double[2, 3] b",
          "double[1, 1, 3] a, double[2, 1] b", "double[0, 3] a, double[1, 3] b"}) {
      expect_gradients(cat("f (", shapes, ") => (y) { y = ", kind, " (a, b) }"), kTwice, 0.5, 2);
    }
  }
  expect_gradients("f (double[5] a, double[5] b) => (y) { y = Mod <fmod = 1> (a, b) }", kTwice, 1,
                   4);
  expect_gradients("f (double[2, 3] x, double[3] s) => (y) { y = PRelu (x, s) }", kTwice);
  expect_gradients(
      "f (double[2, 3] a, double[3] b, double[2, 1] z) => (y) { k = Less (a, z)\n y = Where (k, a, "
      "b) }",
      kTwice);
}

TEST(Gradients, Products) {
  for (const char* shapes :
       {"double[2, 3] a, double[3, 4] b", "double[3] a, double[3] b", "double[3] a, double[3, 2] b",
        "double[2, 3] a, double[3] b", "double[5, 2, 3] a, double[3, 4] b",
        "double[5, 2, 3] a, double[5, 3, 4] b", "double[2, 1, 2, 3] a, double[5, 3, 2] b",
        "double[3] a, double[5, 3, 2] b", "double[5, 2, 3] a, double[3] b",
        "double[0, 3] a, double[3, 2] b", "double[2, 0] a, double[0, 2] b"}) {
    expect_gradients(cat("f (", shapes, ") => (y) { y = MatMul (a, b) }"), kTwice);
  }
  for (const char* c : {"double c", "double[4] c", "double[2, 1] c", "double[2, 4] c"}) {
    for (int trans = 0; trans < 4; ++trans) {
      expect_gradients(cat("f (double", trans & 1 ? "[3, 2]" : "[2, 3]", " a, double",
                           trans & 2 ? "[4, 3]" : "[3, 4]", " b, ", c,
                           ") => (y) { y = Gemm <alpha = 0.5, beta = 2.0, transA = ", trans & 1,
                           ", transB = ", trans >> 1, "> (a, b, c) }"),
                       kTwice);
    }
  }
  expect_gradients("f (double[2, 3] a, double[3, 4] b) => (y) { y = Gemm <alpha = 0.0> (a, b) }",
                   kTwice);
}

TEST(Gradients, Reductions) {
  for (const char* kind :
       {"ReduceSum", "ReduceMean", "ReduceProd", "ReduceMax", "ReduceMin", "ReduceL1", "ReduceL2",
        "ReduceSumSquare", "ReduceLogSum", "ReduceLogSumExp"}) {
    for (int keep = 0; keep < 2; ++keep) {
      expect_gradients(cat("f (double[2, 3, 2] x) => (y) <int64[2] axes = {0, -1}> { y = ", kind,
                           " <keepdims = ", keep, "> (x, axes) }"),
                       kTwice, 0.5, 2);
      expect_gradients(
          cat("f (double[2, 3] x) => (y) { y = ", kind, " <keepdims = ", keep, "> (x) }"), kTwice,
          0.5, 2);
      expect_gradients(cat("f (double[2, 3] x) => (y) <int64[0] axes = {}> { y = ", kind,
                           " <keepdims = ", keep, ", noop_with_empty_axes = 1> (x, axes) }"),
                       kTwice, 0.5, 2);
    }
  }
}

TEST(Gradients, Softmax) {
  for (const char* kind : {"Softmax", "LogSoftmax"}) {
    for (int axis : {0, 1, -1}) {
      expect_gradients(
          cat("f (double[2, 3, 2] x) => (y) { y = ", kind, " <axis = ", axis, "> (x) }"), kTwice);
    }
  }
}

}  // namespace
}  // namespace treadle::test

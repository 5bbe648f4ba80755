// ai.onnx.preview.training.Gradient, as files hold it.
#include "training/gradient_nodes.h"

#include <gtest/gtest.h>

#include "graph/ops/op.h"
#include "graph/text.h"
#include "tests/support/tensors.h"

namespace treadle::test {
namespace {

Value number(float v) { return f32({}, {v}); }

std::vector<Value> run(const char* text, const std::vector<Value>& inputs) {
  Graph g = parse(text);
  expand_gradient_nodes(g);
  verify(g);
  return evaluate(g, inputs);
}

TEST(GradientNodes, OfTheValuesThatItNames) {
  const auto got = run(R"(f (float a, float b) => (float c, float da, float db) {
    s = Add (a, b)
    c = Mul (s, a)
    da, db = ai.onnx.preview.training.Gradient <xs = ["a", "b"], y = "c"> (a, b)
  })",
                       {number(2), number(3)});
  EXPECT_EQ(difference(got[1], number(7)), "");
  EXPECT_EQ(difference(got[2], number(2)), "");
}

// zs are held, whatever they are computed from.
TEST(GradientNodes, HoldsTheOtherOnes) {
  const auto got = run(R"(f (float a) => (float da) {
    z = Mul (a, a)
    c = Mul (z, a)
    da = ai.onnx.preview.training.Gradient <xs = ["a"], zs = ["z"], y = "c"> (a, z)
  })",
                       {number(3)});
  EXPECT_EQ(difference(got[0], number(9)), "");
}

// Where it is given other values, the graph between is that of these.
TEST(GradientNodes, AtOtherValues) {
  const auto got = run(R"(f (float a, float at) => (float y, float da) {
    s = Sin (a)
    y = Mul (a, a)
    da = ai.onnx.preview.training.Gradient <xs = ["a"], y = "y"> (at)
  })",
                       {number(3), number(10)});
  EXPECT_EQ(difference(got[0], number(9)), "");
  EXPECT_EQ(difference(got[1], number(20)), "");
}

TEST(GradientNodes, OfGradients) {
  const auto got = run(R"(f (float a) => (float dda) {
    s = Mul (a, a)
    y = Mul (s, a)
    da = ai.onnx.preview.training.Gradient <xs = ["a"], y = "y"> (a)
    dda = ai.onnx.preview.training.Gradient <xs = ["a"], y = "da"> (a)
  })",
                       {number(3)});
  EXPECT_EQ(difference(got[0], number(18)), "");
}

}  // namespace
}  // namespace treadle::test

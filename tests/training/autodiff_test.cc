// What autodiff promises whatever the operators: worked examples, fan-out, errors.
#include "training/autodiff.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "graph/ops/op.h"
#include "graph/text.h"
#include "tests/support/gradcheck.h"
#include "tests/support/tensors.h"

namespace treadle::test {
namespace {

using testing::HasSubstr;

double scalar_result(const Graph& graph, const std::vector<Value>& inputs, size_t output = 0) {
  return evaluate(graph, inputs)[output].tensor().to_doubles()[0];
}

Value number(double v) { return Tensor::scalar<double>(v); }

const char* const kSquare = R"(f (double a, double b, double c) => (double y) {
  s = Add (a, b)
  p = Mul (s, c)
  y = Mul (p, p)
})";

std::string error_of(const std::function<void()>& run) {
  try {
    run();
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

// f = ((a + b) c)^2 at a + b = 3, c = 2.
TEST(Autodiff, SquareOfAProduct) {
  const std::vector<Value> at = {number(1), number(2), number(2)};
  const Graph first = autodiff(parse(kSquare), {.outputs = {"y"}, .wrt = {"a", "b", "c"}});
  EXPECT_EQ(scalar_result(first, at, 0), 24);
  EXPECT_EQ(scalar_result(first, at, 1), 24);
  EXPECT_EQ(scalar_result(first, at, 2), 36);
  const Graph by_a = autodiff(first, {.outputs = {"grad_a"}, .wrt = {"b"}});
  EXPECT_EQ(scalar_result(by_a, at), 8);
  const Graph by_b = autodiff(first, {.outputs = {"grad_b"}, .wrt = {"c"}});
  EXPECT_EQ(scalar_result(by_b, at), 24);
}

TEST(Autodiff, SigmoidGate) {
  const Graph gate = parse("f (double x) => (double y) { y = Sigmoid (x) }");
  const Graph g = autodiff(gate, {.outputs = {"y"}, .wrt = {"x"}, .keep_outputs = true});
  EXPECT_NEAR(scalar_result(g, {number(1)}, 0), 0.73, 0.005);
  EXPECT_NEAR(scalar_result(g, {number(1)}, 1), 0.2, 0.005);
}

TEST(Autodiff, OneTensorTwiceInANode) {
  const Graph g = parse("f (double x) => (double y) { y = Mul (x, x) }");
  EXPECT_EQ(scalar_result(autodiff(g, {.outputs = {"y"}, .wrt = {"x"}}), {number(3)}), 6);
}

TEST(Autodiff, AnOutputThatIsAnIntermediateToo) {
  const Graph g = parse(R"(f (double x) => (double h, double y) {
    h = Mul (x, x)
    y = Mul (h, h)
  })");
  const Graph both = autodiff(g, {.outputs = {"h", "y"}, .wrt = {"x"}});
  EXPECT_EQ(scalar_result(both, {number(2)}), 4 + 32);
}

TEST(Autodiff, ASharedWeightGetsTheSum) {
  const Graph g = parse(R"(f (double x) => (double y) <double w = {3}> {
    a = Mul (x, w)
    y = Mul (a, w)
  })");
  EXPECT_EQ(scalar_result(autodiff(g, {.outputs = {"y"}, .wrt = {"w"}}), {number(2)}), 12);
}

TEST(Autodiff, OnlyWhatIsAskedForIsBuilt) {
  const Graph g = parse(kSquare);
  const Graph one = autodiff(g, {.outputs = {"y"}, .wrt = {"c"}});
  const Graph all = autodiff(g, {.outputs = {"y"}, .wrt = {"a", "b", "c"}});
  EXPECT_LT(one.node_count(), all.node_count());
}

TEST(Autodiff, WithRespectToAnIntermediate) {
  const Graph g = autodiff(parse(kSquare), {.outputs = {"y"}, .wrt = {"p"}});
  EXPECT_EQ(scalar_result(g, {number(1), number(2), number(2)}), 12);
}

TEST(Autodiff, SeedsWeighTheOutputs) {
  const Graph g = parse("f (double[2] x) => (double[2] y) { y = Mul (x, x) }");
  const Graph v = autodiff(g, {.outputs = {"y"}, .wrt = {"x"}, .seeds = {"u"}});
  ASSERT_EQ(v.inputs().size(), 2u);
  const std::vector<Value> got = evaluate(v, {f64({2}, {1, 2}), f64({2}, {10, 100})});
  EXPECT_EQ(difference(got[0], f64({2}, {20, 400})), "");
}

TEST(Autodiff, UnreachableNamesTheCut) {
  const Graph g = parse(R"(f (double x, double z) => (double y) {
    [back] r = Floor (x)
    y = Mul (r, z)
  })");
  const std::string error = error_of([&] { autodiff(g, {.outputs = {"y"}, .wrt = {"x"}}); });
  EXPECT_THAT(error, HasSubstr("no gradient reaches 'x'"));
  EXPECT_THAT(error, HasSubstr("'back' (Floor)"));
  const Graph zero = autodiff(g, {.outputs = {"y"}, .wrt = {"x"}, .zero_unreachable = true});
  EXPECT_EQ(scalar_result(zero, {number(1), number(2)}), 0);
}

TEST(Autodiff, IntegersHaveNoGradient) {
  const Graph g =
      parse("f (int64 n, double x) => (double y) { c = Cast <to = 11> (n)\n y = Mul (c, x) }");
  const std::string error = error_of([&] { autodiff(g, {.outputs = {"y"}, .wrt = {"n"}}); });
  EXPECT_THAT(error, HasSubstr("'n'"));
  EXPECT_THAT(error, HasSubstr("only floats"));
}

TEST(Autodiff, AnUnknownNameIsNamed) {
  const std::string error =
      error_of([&] { autodiff(parse(kSquare), {.outputs = {"y"}, .wrt = {"q"}}); });
  EXPECT_THAT(error, HasSubstr("'q'"));
}

}  // namespace
}  // namespace treadle::test

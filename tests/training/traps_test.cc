// The traps of gradients by name; 7, 8, 11 to 14 lie by their operators, 10 in cli/grad_test.py.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "graph/ops/op.h"
#include "graph/text.h"
#include "tests/support/gradcheck.h"
#include "tests/support/tensors.h"
#include "training/autodiff.h"
#include "training/trainer.h"

namespace treadle::test {
namespace {

const Gradcheck kTwice{.order = 2};

void check(const std::string& signature, const std::string& constants, const std::string& node,
           double low = -1, double high = 1) {
  expect_gradients("f (" + signature + ") => (y) <" + constants + "> { y = " + node + " }", kTwice,
                   low, high);
}

TEST(Traps, Trap1BroadcastSumsAddedAxesAndAxesOfOne) {
  check("double[1, 3] a, double[2, 1] b", "float k = {0}", "Mul (a, b)");
  check("double[1] a, double[2, 0, 3] b", "float k = {0}", "Add (a, b)");
}

TEST(Traps, Trap2ScattersWithEqualIndices) {
  check("double[3, 2] x, double[3, 2] u", "int64[3, 1] i = {-1, 2, 0}",
        "ScatterND <reduction = \"add\"> (x, i, u)");
  const Graph last = parse(
      "f (double[2] x, double[2] u) => (double[2] y) <int64[2] i = {0, 0}> { y = ScatterElements "
      "(x, i, u) }");
  const auto got = gradients_at(last, {f64({2}, {1, 2}), f64({2}, {3, 4})});
  EXPECT_EQ(difference(got[1], f64({2}, {0, 1})), "") << "the last writer stays";
}

TEST(Traps, Trap3MatMulOfVectors) {
  check("double[3] a, double[2, 3, 2] b", "float k = {0}", "MatMul (a, b)");
  check("double[2, 1, 2, 3] a, double[3, 3, 1] b", "float k = {0}", "MatMul (a, b)");
}

TEST(Traps, Trap4GemmOfAlphaZero) {
  check("double[2, 3] a, double[3, 2] b, double[1, 2] c", "float k = {0}",
        "Gemm <alpha = 0.0, beta = 0.5> (a, b, c)");
}

TEST(Traps, Trap5NothingTimesInfinity) {
  const Graph g = parse("f (double[2] x) => (y) <double e = {0}> { y = Pow (x, e) }");
  EXPECT_EQ(difference(gradients_at(g, {f64({2}, {0, 2})})[0], f64({2}, {0, 0})), "");
}

TEST(Traps, Trap6PadsThatRepeatAndPadsThatCrop) {
  check("double[3, 4] x", "int64[4] p = {2, -1, 0, 3}", "Pad <mode = \"edge\"> (x, p)");
  check("double[4] x", "int64[2] p = {-1, -2}", "Pad (x, p)");
}

TEST(Traps, Trap9ResizeIsTransposed) {
  check("double[1, 1, 4, 4] x", "float[4] s = {1, 1, 0.6, 2}",
        "Resize <mode = \"cubic\", antialias = 1, exclude_outside = 1> (x, \"\", s)");
}

TEST(Traps, Trap15RecurrentLengthsAndStates) {
  expect_gradients(
      "f (double[3, 2, 2] x, double[1, 2, 2] w, double[1, 2, 2] r, double[1, 2, 2] h) => (y, l) "
      "<int32[2] n = {0, 2}> { y, l = RNN <hidden_size = 2, direction = \"reverse\", clip = 0.7> "
      "(x, "
      "w, r, \"\", n, h) }");
}

TEST(Traps, Trap16OnlyTheBranchTakenCounts) {
  const Graph g = parse(R"(f (double[2] x, double[2] w, bool c) => (double[2] y) {
    y = If (c) <
      then_branch = a () => (p) { p = Mul (x, w) },
      else_branch = b () => (n) { n = Exp (x) }
    >
  })");
  const Graph d = autodiff(g, {.outputs = {"y"}, .wrt = {"x", "w"}});
  const Value x = f64({2}, {0, 1}), w = f64({2}, {5, 7});
  const auto taken = evaluate(d, {x, w, Tensor::scalar<bool>(true)});
  EXPECT_EQ(difference(taken[0], w), "");
  EXPECT_EQ(difference(taken[1], x), "");
  const auto other = evaluate(d, {x, w, Tensor::scalar<bool>(false)});
  EXPECT_EQ(difference(other[0], f64({2}, {1, std::exp(1.0)})), "");
  EXPECT_EQ(difference(other[1], f64({2}, {0, 0})), "") << "what the other branch captures";
}

// y = x·wⁿ, where n is known at run time.
TEST(Traps, Trap16LoopsOfAnyNumberOfTrips) {
  const Graph g = parse(R"(f (int64 n, double[2] x, double[2] w) => (double[2] y)
    <bool go = {1}> {
    y = Loop (n, go, x) <
      body = b (int64 i, bool c, double[2] a) => (c, p) { p = Mul (a, w) }
    >
  })");
  const Graph d = autodiff(g, {.outputs = {"y"}, .wrt = {"x", "w"}});
  const Value x = f64({2}, {3, 5}), w = f64({2}, {2, -1});
  const auto none = evaluate(d, {Tensor::scalar<int64_t>(0), x, w});
  EXPECT_EQ(difference(none[0], f64({2}, {1, 1})), "");
  EXPECT_EQ(difference(none[1], f64({2}, {0, 0})), "");
  const auto three = evaluate(d, {Tensor::scalar<int64_t>(3), x, w});
  EXPECT_EQ(difference(three[0], f64({2}, {8, -1})), "");
  EXPECT_EQ(difference(three[1], f64({2}, {36, 15})), "");
}

TEST(Traps, Trap17IntegersStopTheGradientAndTheCutIsNamed) {
  const Graph g = parse(R"(f (double[2] x) => (double[2] y) {
    [there] i = Cast <to = 7> (x)
    y = Cast <to = 11> (i)
  })");
  try {
    autodiff(g, {.outputs = {"y"}, .wrt = {"x"}});
    ADD_FAILURE() << "no error";
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), testing::HasSubstr("no gradient reaches 'x'"));
    EXPECT_THAT(e.what(), testing::HasSubstr("'there' (Cast)"));
  }
}

TEST(Traps, Trap18EinsumDiagonalsAndLonelyLabels) {
  check("double[2, 3, 3] a", "float k = {0}", "Einsum <equation = \"bii->b\"> (a)");
  check("double[2, 3] a, double[3] b", "float k = {0}", "Einsum <equation = \"...j,j->j\"> (a, b)");
}

TEST(Traps, Trap19PermutationsScatter) {
  expect_gradients(
      "f (double[2, 4] x) => (y) <int64[1] k = {3}> { y, i = TopK <largest = 0> (x, k) }", kTwice);
}

TEST(Traps, Trap20OneTensorTwice) { check("double[3] x", "float k = {0}", "Mul (x, x)"); }

// Sums of half precision are made in float, and rounded once.
TEST(Traps, Trap21HalfPrecisionIsRoundedOnce) {
  const Graph g = parse(R"(f (float16[4096] x) => (float16 y) {
    s = Mul (x, x)
    y = ReduceSum <keepdims = 0> (s)
  })");
  const Graph d = autodiff(g, {.outputs = {"y"}, .wrt = {"x"}});
  const Value x = f16({4096}, std::vector<float>(4096, 0.25F));
  const Tensor got = evaluate(d, {x})[0].tensor();
  EXPECT_EQ(got.dtype(), DType::kFloat16);
  EXPECT_EQ(got.to_doubles(), std::vector<double>(4096, 0.5));
}

TEST(Traps, Trap22DequantizedBlocksAndAxes) {
  const Graph blocks = parse(R"(f (float[1, 2] s) => (float[1, 4] y)
    <uint8[1, 4] x = {1, 2, 3, 4}, uint8[1, 2] z = {1, 1}> {
    y = DequantizeLinear <axis = 1, block_size = 2> (x, s, z)
  })");
  const Graph d = autodiff(blocks, {.outputs = {"y"}, .wrt = {"s"}});
  EXPECT_EQ(difference(evaluate(d, {f32({1, 2}, {5, 7})})[0], f32({1, 2}, {1, 5})), "");
  const Graph axis = parse(R"(f (float[2] s) => (float[2, 2] y) <int8[2, 2] x = {1, 2, 3, -4}> {
    y = DequantizeLinear <axis = 0> (x, s)
  })");
  const Graph e = autodiff(axis, {.outputs = {"y"}, .wrt = {"s"}});
  EXPECT_EQ(difference(evaluate(e, {f32({2}, {5, 7})})[0], f32({2}, {3, -1})), "");
}

TEST(Traps, Trap23SharedWeightsGetTheSum) {
  const Graph g = parse(R"(f (double[2] x) => (double[2] y) <double[2] w = {1, 2}> {
    a = Mul (x, w)
    b = Tanh (a)
    y = Mul (b, w)
  })");
  const Value x = f64({2}, {0.5, -1}), w = f64({2}, {1, 2});
  const Tensor got = evaluate(autodiff(g, {.outputs = {"y"}, .wrt = {"w"}}), {x})[0].tensor();
  for (size_t i = 0; i < 2; ++i) {  // of w·tanh(x·w)
    const double u = x.tensor().to_doubles()[i], v = w.tensor().to_doubles()[i];
    const double t = std::tanh(u * v);
    EXPECT_NEAR(got.data<double>()[i], t + v * u * (1 - t * t), 1e-12);
  }
  TrainerOptions options;
  options.joint.update.rule = "momentum";
  Trainer trainer(g.clone(), options);
  ASSERT_EQ(trainer.variables().size(), 2u);
  EXPECT_EQ(trainer.variables()[1].name, "velocity/w") << "one slot for both uses";
}

// A weight that is an input with a default, and what the optimizer would fold: Conv and
// BatchNormalization, and a product of weights.
TEST(Traps, Trap24TrainableWeightsAreNotFolded) {
  constexpr const char* kNet = R"(f (float[2, 1, 2, 2] x) => (float[2, 1, 2, 2] y)
    <float[1, 1, 1, 1] w = {2}, float[1, 1, 1, 1] v = {0.5}, float[1] s = {1}, float[1] b = {0},
     float[1] m = {0}, float[1] d = {1}> {
    k = Mul (w, v)
    c = Conv (x, k)
    y = BatchNormalization (c, s, b, m, d)
  })";
  Trainer trainer(parse(kNet));
  std::set<std::string> trained;
  for (const Variable& v : trainer.variables()) {
    if (v.role == Variable::Role::kParameter) trained.insert(v.name);
  }
  EXPECT_THAT(trained, testing::ElementsAre("b", "s", "v", "w"));
  const Value x = f32({2, 1, 2, 2}, {1, 2, 3, 4, 5, 6, 7, 8});
  const Value target = f32({2, 1, 2, 2}, {0, 1, 0, 1, 0, 1, 0, 2});
  trainer.step(std::vector<NamedValue>{{"x", x}, {"target", target}});
  for (const char* name : {"b", "s"}) {
    EXPECT_NE(trainer.variable(name).to_doubles(),
              parse(kNet).value(parse(kNet).find_value(name)).constant.to_doubles())
        << name;
  }
}

}  // namespace
}  // namespace treadle::test

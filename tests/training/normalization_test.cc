// Gradients of normalizations, of losses over classes, and of Dropout.
#include <gtest/gtest.h>

#include <cmath>

#include "graph/ops/op.h"
#include "graph/text.h"
#include "tests/support/gradcheck.h"
#include "tests/support/tensors.h"
#include "training/autodiff.h"

namespace treadle::test {
namespace {

const Gradcheck kTwice{.order = 2};

void check(const std::string& signature, const std::string& body) {
  expect_gradients("f (" + signature + ") => (y) { y = " + body + " }", kTwice, 0.2, 2);
}

const char* const kChannels = "double[3] s, double[3] b, double[3] m, double[3] v";

TEST(Traps, Trap12BatchNormalizationOfAFrozenBatch) {
  check(cat("double[2, 3, 4] x, ", kChannels), "BatchNormalization (x, s, b, m, v)");
  check(cat("double[2, 3, 2, 3] x, ", kChannels),
        "BatchNormalization <epsilon = 0.1> (x, s, b, m, v)");
  check(cat("double[4, 3] x, ", kChannels), "BatchNormalization (x, s, b, m, v)");
  check(cat("double[0, 3, 2] x, ", kChannels), "BatchNormalization (x, s, b, m, v)");
}

TEST(Gradients, BatchNormalizationThatTrains) {
  for (const char* x : {"double[2, 3, 4] x, ", "double[2, 3, 2, 3] x, ", "double[4, 3] x, "}) {
    expect_gradients(cat("f (", x, kChannels,
                         ") => (y, rm, rv) { y, rm, rv = BatchNormalization <training_mode = 1, "
                         "momentum = 0.7> (x, s, b, m, v) }"),
                     kTwice, 0.2, 2);
  }
  expect_gradients(cat("f (double[2, 3, 4] x, ", kChannels,
                       ") => (rm, rv) { y, rm, rv = BatchNormalization <training_mode = 1> (x, s, "
                       "b, m, v) }"),
                   kTwice, 0.2, 2);
}

// ONNX: running = input * momentum + batch * (1 - momentum), of the population's variance.
TEST(Traps, Trap12BatchNormalizationOfOneElementAndRunningStatistics) {
  const Graph g = parse(
      "f (double[2, 1] x, double[1] s, double[1] b, double[1] m, double[1] v) => (double[2, 1] y, "
      "double[1] rm, double[1] rv) { y, rm, rv = BatchNormalization <training_mode = 1, momentum = "
      "0.75> (x, s, b, m, v) }");
  const std::vector<Value> at = {f64({2, 1}, {1, 3}), f64({1}, {1}), f64({1}, {0}), f64({1}, {4}),
                                 f64({1}, {8})};
  const std::vector<Value> y = evaluate(g, at);
  EXPECT_EQ(difference(y[1], f64({1}, {4 * 0.75 + 2 * 0.25})), "");
  EXPECT_EQ(difference(y[2], f64({1}, {8 * 0.75 + 1 * 0.25})), "");
  const Graph of_mean = autodiff(g, {.outputs = {"rm"}, .wrt = {"x", "m"}});
  const std::vector<Value> gm = evaluate(of_mean, at);
  EXPECT_EQ(difference(gm[0], f64({2, 1}, {0.125, 0.125})), "");
  EXPECT_EQ(difference(gm[1], f64({1}, {0.75})), "");
  const Graph one = parse(
      "f (double[1, 1] x, double[1] s, double[1] b, double[1] m, double[1] v) => (double[1, 1] y) "
      "{ y = BatchNormalization <training_mode = 1> (x, s, b, m, v) }");
  const std::vector<Value> single = {f64({1, 1}, {5}), f64({1}, {2}), f64({1}, {3}), f64({1}, {0}),
                                     f64({1}, {1})};
  EXPECT_EQ(difference(evaluate(one, single)[0], f64({1, 1}, {3})), "");
  const Graph of_one = autodiff(one, {.outputs = {"y"}, .wrt = {"x"}});
  EXPECT_EQ(difference(evaluate(of_one, single)[0], f64({1, 1}, {0})), "");
}

TEST(Gradients, InstanceNormalization) {
  check("double[2, 3, 4] x, double[3] s, double[3] b", "InstanceNormalization (x, s, b)");
  check("double[2, 3, 2, 2] x, double[3] s, double[3] b",
        "InstanceNormalization <epsilon = 0.1> (x, s, b)");
  check("double[0, 3, 2] x, double[3] s, double[3] b", "InstanceNormalization (x, s, b)");
}

TEST(Traps, Trap14InstanceNormalizationOfOneElement) {
  check("double[2, 3, 1] x, double[3] s, double[3] b", "InstanceNormalization (x, s, b)");
}

TEST(Gradients, GroupNormalization) {
  for (int groups : {1, 2, 4}) {
    check("double[2, 4, 3] x, double[4] s, double[4] b",
          cat("GroupNormalization <num_groups = ", groups, "> (x, s, b)"));
  }
  check("double[1, 4, 2, 3] x, double[4] s, double[4] b",
        "GroupNormalization <num_groups = 2, epsilon = 0.01> (x, s, b)");
  check("double[0, 4, 2] x, double[4] s, double[4] b",
        "GroupNormalization <num_groups = 2> (x, s, b)");
}

TEST(Traps, Trap14LayerNormalizationWithItsStatistics) {
  check("double[2, 3, 4] x, double[4] s, double[4] b",
        "LayerNormalization <stash_type = 11> (x, s, b)");
  check("double[2, 3, 4] x, double[3, 4] s",
        "LayerNormalization <stash_type = 11, axis = 1> (x, s)");
  check("double[2, 3, 4] x, double[3, 1] s, double b",
        "LayerNormalization <stash_type = 11, axis = -2> (x, s, b)");
  check("double[0, 4] x, double[4] s, double[4] b",
        "LayerNormalization <stash_type = 11> (x, s, b)");
  for (const char* outputs : {"y, m, i", "m, i", "y, i"}) {
    expect_gradients(cat("f (double[2, 5] x, double[5] s, double[5] b) => (", outputs,
                         ") { y, m, i = LayerNormalization <stash_type = 11> (x, s, b) }"),
                     kTwice, 0.2, 2);
  }
}

// The statistics that the node gives are floats then, too coarse for a double's gradient.
TEST(Gradients, LayerNormalizationInAnotherStashType) {
  check("double[2, 5] x, double[5] s, double[5] b", "LayerNormalization (x, s, b)");
}

TEST(Gradients, RmsAndLpNormalization) {
  check("double[2, 3, 4] x, double[4] s", "RMSNormalization <stash_type = 11> (x, s)");
  check("double[2, 3, 4] x, double[3, 1] s", "RMSNormalization <stash_type = 11, axis = 1> (x, s)");
  for (int p = 1; p <= 2; ++p) {
    for (int axis : {0, -1}) {
      check("double[3, 4] x", cat("LpNormalization <p = ", p, ", axis = ", axis, "> (x)"));
    }
    const Graph g =
        parse(cat("f (double[2] x) => (double[2] y) { y = LpNormalization <p = ", p, "> (x) }"));
    EXPECT_EQ(difference(gradients_at(g, {f64({2}, {0, 0})})[0], f64({2}, {0, 0})), "");
  }
}

TEST(Gradients, MeanVarianceAndLocalResponseNormalization) {
  check("double[2, 3, 2, 2] x", "MeanVarianceNormalization (x)");
  check("double[2, 4] x", "MeanVarianceNormalization <axes = [1]> (x)");
  for (int size = 1; size <= 4; ++size) {
    check("double[2, 3, 2, 2] x",
          cat("LRN <size = ", size, ", alpha = 0.5, beta = 0.6, bias = 2.0> (x)"));
  }
  check("double[2, 5] x", "LRN <size = 3, alpha = 0.5> (x)");
  check("double[1, 5, 2] x", "LRN <size = 3, alpha = 0.5> (x)");
}

// ---- Losses

void check_loss(const std::string& scores, const std::string& target, const std::string& outputs,
                const std::string& attributes, bool weighted) {
  const bool entropy = outputs.find(',') != std::string::npos;
  for (const char* kind : {"SoftmaxCrossEntropyLoss", "NegativeLogLikelihoodLoss"}) {
    if (entropy && std::string(kind)[0] == 'N') continue;
    for (const char* reduction : {"none", "mean", "sum"}) {
      expect_gradients(
          cat("f (double", scores, " x", weighted ? ", double[3] w" : "", ") => (", outputs,
              ") <int64", target, "> { ", outputs, " = ", kind, " <", attributes, "reduction = \"",
              reduction, "\"> (x, t", weighted ? ", w" : "", ") }"),
          kTwice, 0.2, 2);
    }
  }
}

TEST(Gradients, LossesOverClasses) {
  check_loss("[4, 3]", "[4] t = {0, 2, 1, 2}", "l", "", false);
  check_loss("[2, 3, 2]", "[2, 2] t = {0, 2, 1, 2}", "l", "", false);
  check_loss("[1, 3, 2, 1]", "[1, 2, 1] t = {0, 2}", "l", "", true);
  check_loss("[4, 3]", "[4] t = {0, 2, 1, 2}", "l", "", true);
}

TEST(Traps, Trap11LossesWithAnIgnoredIndexThatIsNoClass) {
  check_loss("[4, 3]", "[4] t = {0, -7, 1, -7}", "l", "ignore_index = -7, ", false);
  check_loss("[4, 3]", "[4] t = {0, 1, 1, 2}", "l", "ignore_index = 1, ", true);
  check_loss("[2, 3, 2]", "[2, 2] t = {0, 2, 255, 1}", "l", "ignore_index = 255, ", true);
}

TEST(Traps, Trap11TheLogProbabilitiesOfALoss) {
  check_loss("[4, 3]", "[4] t = {0, 2, 1, 2}", "l, p", "", false);
  check_loss("[2, 3, 2]", "[2, 2] t = {0, 2, 9, 1}", "l, p", "ignore_index = 9, ", true);
  expect_gradients(
      "f (double[2, 3] x) => (p) <int64[2] t = {0, 2}> { l, p = SoftmaxCrossEntropyLoss (x, t) }",
      kTwice);
}

// The mean divides by the weights of what is not ignored; of nothing it is 0/0, with no gradient.
TEST(Traps, Trap11LossesWhereAllIsIgnored) {
  for (const char* kind : {"SoftmaxCrossEntropyLoss", "NegativeLogLikelihoodLoss"}) {
    const Graph g = parse(cat("f (double[2, 3] x) => (double l) <int64[2] t = {5, 5}> { l = ", kind,
                              " <ignore_index = 5> (x, t) }"));
    const Value at = f64({2, 3}, {1, 2, 3, 4, 5, 6});
    EXPECT_TRUE(std::isnan(evaluate(g, {at})[0].tensor().to_doubles()[0]));
    EXPECT_EQ(difference(gradients_at(g, {at})[0], f64({2, 3}, {0, 0, 0, 0, 0, 0})), "");
  }
}

// ---- Dropout

TEST(Traps, Trap13DropoutOfSeveralRatios) {
  for (const char* ratio : {"0", "0.25", "0.5", "0.9999"}) {
    expect_gradients(cat("f (double[4, 5] x) => (y, k) <float r = {", ratio,
                         "}, bool t = {1}> { y, k = Dropout <seed = 3> (x, r, t) }"),
                     kTwice);
  }
  expect_gradients("f (double[4, 5] x) => (y) { y = Dropout <seed = 3> (x) }", kTwice);
  expect_gradients(
      "f (double[4, 5] x) => (y) <float r = {0.5}, bool t = {0}> { y = Dropout <seed = 3> (x, r, "
      "t) }",
      kTwice);
  expect_gradients("f (double[4, 5] x) => (y) <bool t = {1}> { y = Dropout <seed = 3> (x, , t) }",
                   kTwice);
}

TEST(Traps, Trap13DropoutLearnsInTheRunWhetherItTrains) {
  const Graph g = autodiff(
      parse(
          "f (double[6] x, bool t) => (double[6] y, bool[6] k) <float r = {0.5}> { y, k = Dropout "
          "<seed = 3> (x, r, t) }"),
      {.outputs = {"y"}, .wrt = {"x"}, .keep_outputs = true});
  const Value x = f64({6}, {1, 1, 1, 1, 1, 1});
  for (const bool training : {false, true}) {
    const std::vector<Value> got = evaluate(g, {x, Tensor::scalar<bool>(training)});
    EXPECT_EQ(difference(got[0], got[1]), "") << training;  // y = gradient, as x is 1
  }
}

}  // namespace
}  // namespace treadle::test

// Losses in double beside literals (numpy, from the formulas of PyTorch's documentation).
#include "training/losses.h"

#include <gtest/gtest.h>

#include <cmath>

namespace treadle {
namespace {

LossOptions loss(const char* kind) {
  LossOptions o;
  o.kind = kind;
  return o;
}

double value_of(const LossOptions& options, const Tensor& x, const Tensor& t) {
  Graph g;
  Builder b(g);
  const Shape batch = symbolic(x.dims());
  const Expr output(b, g.add_input("x", Type::tensor(DType::kDouble, batch)));
  const std::optional<Type> type = loss_target(options, output.type());
  std::vector<Value> inputs = {x};
  Expr target;
  if (type) {
    target = Expr(b, g.add_input("t", *type));
    inputs.push_back(t);
  }
  g.add_output("loss", add_loss(options, output, target).id());
  verify(g);
  return evaluate(g, inputs)[0].tensor().data<double>()[0];
}

const Tensor& scores() {
  static const Tensor t =
      Tensor::of<double>({4, 3}, {0.5, -1.2, 2.0, 1.5, 0.3, -0.7, -0.4, 0.9, 0.1, 2.2, -0.6, 0.8});
  return t;
}
const Tensor& classes() {
  static const Tensor t = Tensor::of<int64_t>({4}, {2, 0, 1, 1});
  return t;
}
const Tensor& values() {
  static const Tensor t = Tensor::of<double>({4}, {0.5, -2.0, 3.0, 0.0});
  return t;
}
const Tensor& targets() {
  static const Tensor t = Tensor::of<double>({4}, {1.0, 0.5, 0.0, 0.25});
  return t;
}

void expect_loss(const LossOptions& o, double wanted) {
  EXPECT_NEAR(value_of(o, scores(), classes()), wanted, 1e-12) << o.kind;
}

TEST(Losses, CrossEntropy) {
  LossOptions o = loss("cross_entropy");
  expect_loss(o, 1.0476631905124312);
  o.reduction = Reduction::kSum;
  expect_loss(o, 4.190652762049725);
}

TEST(Losses, CrossEntropySmoothedWeightedAndIgnoring) {
  LossOptions o = loss("cross_entropy");
  o.label_smoothing = 0.1;
  expect_loss(o, 1.0976631905124312);
  o.label_smoothing = 0.2;
  o.class_weights = {0.5, 2.0, 1.5};
  expect_loss(o, 1.3435889503860248);
  o.ignore_index = 1;
  expect_loss(o, 0.7150789261187567);
  o.reduction = Reduction::kSum;
  expect_loss(o, 1.4301578522375133);
  o = loss("cross_entropy");
  o.ignore_index = 1;
  expect_loss(o, 0.2896007068966562);
}

TEST(Losses, IgnoredTargetMayBeNoClass) {
  const Tensor t = Tensor::of<int64_t>({4}, {2, 0, -100, -100});
  LossOptions o = loss("cross_entropy");
  o.ignore_index = -100;
  EXPECT_NEAR(value_of(o, scores(), t), 0.2896007068966562, 1e-12);
  o.label_smoothing = 0.2;
  o.class_weights = {0.5, 2.0, 1.5};
  EXPECT_NEAR(value_of(o, scores(), t), 0.7150789261187567, 1e-12);
}

TEST(Losses, OfNothingButIgnoredTargetsIsNaN) {
  LossOptions o = loss("cross_entropy");
  o.ignore_index = 2;
  const Tensor t = Tensor::of<int64_t>({4}, {2, 2, 2, 2});
  EXPECT_TRUE(std::isnan(value_of(o, scores(), t)));
  o.label_smoothing = 0.1;
  EXPECT_TRUE(std::isnan(value_of(o, scores(), t)));
}

TEST(Losses, CrossEntropyOfPictures) {
  LossOptions o = loss("cross_entropy");
  const Tensor t = Tensor::of<int64_t>({2, 2}, {2, 0, 1, 1});
  // The same scores, classes along axis 1.
  const Tensor x = Tensor::of<double>(
      {2, 3, 2}, {0.5, 1.5, -1.2, 0.3, 2.0, -0.7, -0.4, 2.2, 0.9, -0.6, 0.1, 0.8});
  EXPECT_NEAR(value_of(o, x, t), 1.0476631905124312, 1e-12);
  o.label_smoothing = 0.2;
  o.class_weights = {0.5, 2.0, 1.5};
  EXPECT_NEAR(value_of(o, x, t), 1.3435889503860248, 1e-12);
}

TEST(Losses, NegativeLogLikelihood) { expect_loss(loss("nll"), -0.95); }

TEST(Losses, OfValues) {
  EXPECT_NEAR(value_of(loss("mse"), values(), targets()), 3.890625, 1e-12);
  EXPECT_NEAR(value_of(loss("l1"), values(), targets()), 1.5625, 1e-12);
  EXPECT_NEAR(value_of(loss("huber"), values(), targets()), 1.1640625, 1e-12);
  LossOptions o = loss("huber");
  o.delta = 2;
  o.reduction = Reduction::kSum;
  EXPECT_NEAR(value_of(o, values(), targets()), 7.15625, 1e-12);
  EXPECT_NEAR(value_of(loss("bce_with_logits"), values(), targets()), 1.3356848818391924, 1e-12);
}

TEST(Losses, BinaryCrossEntropyOfLargeLogitsIsFinite) {
  const Tensor x = Tensor::of<double>({2}, {800, -800});
  const Tensor t = Tensor::of<double>({2}, {1, 1});
  EXPECT_NEAR(value_of(loss("bce_with_logits"), x, t), 400, 1e-12);
}

TEST(Losses, KullbackLeibler) {
  const Tensor logs = Tensor::of<double>({4}, {-0.5, -2.0, -3.0, -0.1});
  EXPECT_NEAR(value_of(loss("kl"), logs, targets()), 0.20796320486001368, 1e-12);
}

TEST(Losses, Hinge) { expect_loss(loss("hinge"), 0.5333333333333334); }

TEST(Losses, OutputIsTheLoss) {
  EXPECT_NEAR(value_of(loss("output"), values(), {}), 0.375, 1e-12);
  EXPECT_NEAR(value_of(loss("output"), Tensor::scalar(2.5), {}), 2.5, 1e-12);
}

std::string message(const LossOptions& options, const Type& output) {
  try {
    loss_target(options, output);
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

TEST(Losses, RefuseWhatDoesNotFit) {
  const Type matrix = Type::tensor(DType::kFloat, Shape{Dim::symbol("N"), 3});
  EXPECT_EQ(message(loss("cross_entropy"), matrix), "");
  EXPECT_NE(message(loss("crossentropy"), matrix).find("did you mean 'cross_entropy'"),
            std::string::npos);
  EXPECT_NE(message(loss("cross_entropy"), Type::tensor(DType::kFloat, Shape{3})).find("[batch"),
            std::string::npos);
  EXPECT_NE(message(loss("mse"), Type::tensor(DType::kInt64, Shape{3})).find("needs floats"),
            std::string::npos);
  LossOptions o = loss("cross_entropy");
  o.class_weights = {1, 2};
  EXPECT_NE(message(o, matrix).find("2 class weights for 3 classes"), std::string::npos);
  o = loss("mse");
  o.label_smoothing = 0.1;
  EXPECT_NE(message(o, matrix).find("no label smoothing"), std::string::npos);
}

}  // namespace
}  // namespace treadle

// BatchNormalization in training and in inference form under a trainer.
#include "training/forms.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "graph/ops/op.h"
#include "graph/text.h"
#include "tests/support/tensors.h"
#include "training/trainer.h"

namespace treadle::test {
namespace {

using Batch = std::vector<NamedValue>;

// As an exporter writes it for inference, or for training.
Graph net(bool training) {
  const char* const text = R"(net (float[N, 2] x) => (float[N, 2] y)
    <float[2, 2] w = {1, 0.5, -0.5, 1}, float[2] scale = {1, 2}, float[2] shift = {0, 1},
     float[2] mean = {0.5, -0.5}, float[2] variance = {1, 4}>
  {
    h = MatMul (x, w)
    y%OUT = BatchNormalization <momentum = 0.75%MODE> (h, scale, shift, mean, variance)
  })";
  std::string filled = text;
  filled.replace(filled.find("%OUT"), 4, training ? ", new_mean, new_variance" : "");
  filled.replace(filled.find("%MODE"), 5, training ? ", training_mode = 1" : "");
  return parse(filled);
}

Batch batch() {
  return {{"x", f32({4, 2}, {1, 2, -1, 0.5f, 0.25f, -2, 3, 1})},
          {"target", f32({4, 2}, {1, 0, 0, 1, -1, 0, 0.5f, 0.5f})}};
}

TrainerOptions options(double decay = 0) {
  TrainerOptions o;
  o.schedule.rate = 0.1;
  o.joint.update.weight_decay = decay;
  return o;
}

// Column k of x·w.
std::vector<double> column(size_t k) {
  const double w[2][2] = {{1, 0.5}, {-0.5, 1}};
  const std::vector<double> x = batch()[0].value.tensor().to_doubles();
  std::vector<double> h;
  for (size_t i = 0; i < 4; ++i) h.push_back(x[2 * i] * w[0][k] + x[2 * i + 1] * w[1][k]);
  return h;
}

void expect_statistics_of_the_batch(const Trainer& trainer) {
  const double old_mean[2] = {0.5, -0.5}, old_variance[2] = {1, 4};
  for (size_t k = 0; k < 2; ++k) {
    double mean = 0, variance = 0;
    for (double h : column(k)) mean += h / 4;
    for (double h : column(k)) variance += (h - mean) * (h - mean) / 4;
    EXPECT_NEAR(trainer.variable("mean").to_doubles()[k], 0.75 * old_mean[k] + 0.25 * mean, 1e-5);
    EXPECT_NEAR(trainer.variable("variance").to_doubles()[k],
                0.75 * old_variance[k] + 0.25 * variance, 1e-5);
  }
}

TEST(Forms, TrainingUpdatesTheRunningStatisticsAndNeverDecaysThem) {
  for (const bool given : {false, true}) {
    Trainer trainer(net(given), options(0.5));
    EXPECT_THAT(trainer.warnings(), testing::IsEmpty());
    const double before = trainer.eval(batch()).loss;
    trainer.step(batch());
    expect_statistics_of_the_batch(trainer);
    EXPECT_NE(trainer.eval(batch()).loss, before);
    for (const Variable& v : trainer.variables()) {
      const bool statistic = v.name == "mean" || v.name == "variance";
      EXPECT_EQ(v.role == Variable::Role::kStatistic, statistic) << v.name;
    }
  }
}

TEST(Forms, TheLossIsOfTheBatchsStatistics) {
  Trainer trainer(net(false), options());
  const std::vector<double> t = batch()[1].value.tensor().to_doubles();
  const double scale[2] = {1, 2}, shift[2] = {0, 1};
  double loss = 0;
  for (size_t k = 0; k < 2; ++k) {
    double mean = 0, variance = 0;
    for (double h : column(k)) mean += h / 4;
    for (double h : column(k)) variance += (h - mean) * (h - mean) / 4;
    for (size_t i = 0; i < 4; ++i) {
      const double y = (column(k)[i] - mean) / std::sqrt(variance + 1e-5) * scale[k] + shift[k];
      loss += (y - t[2 * i + k]) * (y - t[2 * i + k]) / 8;
    }
  }
  EXPECT_NEAR(trainer.step(batch()).loss, loss, 1e-5);
}

TEST(Forms, FrozenLayersKeepTheirStatistics) {
  for (const bool given : {false, true}) {
    TrainerOptions o = options();
    o.joint.groups = {{.pattern = "s*", .frozen = true}};
    Trainer trainer(net(given), o);
    const double evaluated = trainer.eval(batch()).loss;
    EXPECT_NEAR(trainer.step(batch()).loss, evaluated, 1e-6);
    EXPECT_EQ(trainer.variables().size(), 1u);
    const Graph out = trainer.exported();
    EXPECT_TRUE(out.value(out.find_value("mean")).constant == f32({2}, {0.5f, -0.5f}));
  }
}

TEST(Forms, InferenceFormMayStay) {
  TrainerOptions o = options();
  o.joint.training_form = false;
  Trainer inference(net(false), o);
  const double evaluated = inference.eval(batch()).loss;
  EXPECT_NEAR(inference.step(batch()).loss, evaluated, 1e-6);
  Trainer training(net(true), o);
  training.step(batch());
  expect_statistics_of_the_batch(training);
}

TEST(Forms, ExportIsInferenceAndFolds) {
  Trainer trainer(net(true), options());
  trainer.step(batch());
  const Value want = trainer.eval(batch()).outputs[0];
  const Graph plain = trainer.exported();
  EXPECT_EQ(plain.node_count(), 2u);
  EXPECT_EQ(plain.find_value("new_mean"), ValueId{});
  EXPECT_EQ(difference(evaluate(plain, {batch()[0].value})[0], want), "");
  const Graph folded = trainer.exported({.fold_batchnorm = true});
  for (NodeId id : folded.topological_order()) {
    EXPECT_FALSE(folded.node(id).is("BatchNormalization"));
  }
  EXPECT_EQ(difference(evaluate(folded, {batch()[0].value})[0], want), "");
}

TEST(Forms, SharedStatisticsGoThroughBothLayers) {
  Trainer trainer(parse(R"(net (float[N, 1] x) => (float[N, 1] y)
    <float[1] scale = {1}, float[1] shift = {0}, float[1] mean = {0}, float[1] variance = {1}>
  {
    a = BatchNormalization <momentum = 0.5> (x, scale, shift, mean, variance)
    b = Add (a, x)
    y = BatchNormalization <momentum = 0.5> (b, scale, shift, mean, variance)
  })"),
                  options());
  trainer.step(Batch{{"x", f32({2, 1}, {1, 3})}, {"target", f32({2, 1}, {0, 0})}});
  // The first layer's mean is 2, the second's (of ±1 + x) 2 as well.
  EXPECT_NEAR(trainer.variable("mean").to_doubles()[0], 0.5 * (0.5 * 0 + 0.5 * 2) + 0.5 * 2, 1e-4);
}

}  // namespace
}  // namespace treadle::test

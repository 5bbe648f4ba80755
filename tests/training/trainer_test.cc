// The trainer's promises on small models: what a step computes, what it leaves alone, what it says.
#include "training/trainer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "graph/builder.h"
#include "graph/ops/op.h"
#include "graph/text.h"
#include "tests/support/tensors.h"

namespace treadle::test {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using Batch = std::vector<NamedValue>;

const char* const kLine = R"(line (float[N, 2] x) => (float[N, 1] y)
  <float[2, 1] w = {0.5, -1}, float[1] b = {0.25}>
{
  product = MatMul (x, w)
  y = Add (product, b)
})";

const char* const kTwoLayers = R"(net (float[N, 3] x) => (float[N, 2] y)
  <float[4, 3] w1 = {0.5, -1, 0.25, 0.75, -0.5, 1, -0.25, 0.125, 0.375, 1, 0.5, -0.75},
   float[4] b1 = {0.1, -0.2, 0.3, -0.4},
   float[2, 4] w2 = {1, -0.5, 0.25, 0.5, -0.75, 0.25, 1, -1}, float[2] b2 = {0, 0.5}>
{
  a = Gemm <transB = 1> (x, w1, b1)
  h = Relu (a)
  y = Gemm <transB = 1> (h, w2, b2)
})";

TrainerOptions at_rate(double rate) {
  TrainerOptions options;
  options.schedule.rate = rate;
  return options;
}

Batch line_batch() {
  return {{"x", f32({3, 2}, {1, 2, -1, 0.5f, 0.25f, -2})}, {"target", f32({3, 1}, {1, 0, -1})}};
}
Batch net_batch(uint64_t seed = 1, int64_t size = 4) {
  return {{"x", random_tensor(DType::kFloat, {size, 3}, seed)},
          {"target", random_tensor(DType::kFloat, {size, 2}, seed + 100)}};
}

std::string error_of(const std::function<void()>& run) {
  try {
    run();
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

std::vector<double> numbers(const Trainer& trainer, const std::string& name) {
  return trainer.variable(name).to_doubles();
}

TEST(Trainer, StepsAsByHand) {
  Trainer trainer(parse(kLine), at_rate(0.1));
  EXPECT_THAT(trainer.warnings(), IsEmpty());
  const Batch batch = line_batch();
  const std::vector<double> x = batch[0].value.tensor().to_doubles();
  const std::vector<double> t = batch[1].value.tensor().to_doubles();
  double w[2] = {0.5, -1}, b = 0.25;
  for (int step = 0; step < 20; ++step) {
    double loss = 0, dw[2] = {0, 0}, db = 0;
    for (size_t i = 0; i < 3; ++i) {
      const double d = x[2 * i] * w[0] + x[2 * i + 1] * w[1] + b - t[i];
      loss += d * d / 3;
      for (size_t k = 0; k < 2; ++k) dw[k] += 2 * d * x[2 * i + k] / 3;
      db += 2 * d / 3;
    }
    const StepResult result = trainer.step(batch);
    ASSERT_NEAR(result.loss, loss, 1e-5 * loss) << "step " << step;
    EXPECT_EQ(result.rate, 0.1);
    for (size_t k = 0; k < 2; ++k) w[k] -= 0.1 * dw[k];
    b -= 0.1 * db;
  }
  EXPECT_NEAR(numbers(trainer, "w")[0], w[0], 1e-5);
  EXPECT_NEAR(numbers(trainer, "b")[0], b, 1e-5);
  EXPECT_EQ(trainer.progress().steps, 20);
}

TEST(Trainer, EveryRuleBringsTheLossDown) {
  for (const std::string& rule : update_rules()) {
    TrainerOptions options = at_rate(rule == "adadelta" ? 1 : 0.02);
    options.joint.update.rule = rule;
    options.joint.update.clip_norm = 5;
    options.joint.update.weight_decay = 1e-3;
    Trainer trainer(parse(kTwoLayers), options);
    const double first = trainer.step(net_batch()).loss;
    double last = first;
    for (int i = 0; i < 60; ++i) last = trainer.step(net_batch()).loss;
    EXPECT_LT(last, 0.9 * first) << rule;
  }
}

TEST(Trainer, OptimizedIsUnoptimized) {
  TrainerOptions options = at_rate(0.05);
  options.joint.update.rule = "adam";
  options.joint.gradient_norm = true;
  Trainer optimized(parse(kTwoLayers), options);
  options.optimize = false;
  Trainer plain(parse(kTwoLayers), options);
  for (uint64_t i = 0; i < 10; ++i) {
    const StepResult one = optimized.step(net_batch(i)), other = plain.step(net_batch(i));
    ASSERT_NEAR(one.loss, other.loss, 1e-5);
    ASSERT_NEAR(one.norm, other.norm, 1e-4);
  }
}

TEST(Trainer, TakesAnyBatchSize) {
  Trainer trainer(parse(kTwoLayers), at_rate(0.1));
  for (int64_t size : {4, 1, 7, 4})
    EXPECT_TRUE(std::isfinite(trainer.step(net_batch(1, size)).loss));
  EXPECT_EQ(trainer.eval(net_batch(1, 5)).outputs[0].tensor().dims(), Dims({5, 2}));
}

TEST(Trainer, FrozenParametersStay) {
  TrainerOptions options = at_rate(0.1);
  options.joint.groups = {{.pattern = "?1", .frozen = true}, {.pattern = "b*", .rate = 0}};
  Trainer trainer(parse(kTwoLayers), options);
  std::vector<std::string> names;
  for (const Variable& v : trainer.variables()) names.push_back(v.name);
  EXPECT_THAT(names, testing::ElementsAre("w2", "b2"));
  const std::vector<double> w = numbers(trainer, "w2"), b = numbers(trainer, "b2");
  trainer.step(net_batch());
  EXPECT_NE(numbers(trainer, "w2"), w);
  EXPECT_EQ(numbers(trainer, "b2"), b);
}

TEST(Trainer, WarnsOfWhatNothingReaches) {
  TrainerOptions options = at_rate(0.1);
  options.joint.groups = {{.pattern = "head.*", .rate = 2}};
  Trainer trainer(parse(R"(net (float[N, 2] x) => (float[N, 2] y, float[N, 2] other)
    <float[2] a = {1, 2}, float[2] b = {3, 4}, float[2] c = {5, 6}>
  {
    y0 = Mul (x, a)
    step = Ceil (c)
    y = Add (y0, step)
    other = Mul (x, b)
  })"),
                  options);
  const std::string all = testing::PrintToString(trainer.warnings());
  EXPECT_THAT(all, HasSubstr("does not depend on 'b'"));
  EXPECT_THAT(all, HasSubstr("no gradient reaches 'c'"));
  EXPECT_THAT(all, HasSubstr("no parameter matches the group 'head.*'"));
  EXPECT_EQ(trainer.variables().size(), 1u);
  EXPECT_THAT(error_of([] {
                Trainer none(parse("net (float[N, 2] x) => (float[N, 2] y) { y = Neg (x) }"));
              }),
              HasSubstr("nothing to train"));
}

TEST(Trainer, AccumulatesToTheStepOfTheWholeBatch) {
  Trainer whole(parse(kTwoLayers), at_rate(0.1));
  TrainerOptions options = at_rate(0.1);
  options.joint.accumulate = 2;
  Trainer halves(parse(kTwoLayers), options);
  for (uint64_t i = 0; i < 3; ++i) {
    const Batch one = net_batch(2 * i), two = net_batch(2 * i + 1);
    Batch both;
    for (size_t k = 0; k < 2; ++k) {
      std::vector<float> all;
      for (const Batch* b : {&one, &two}) {
        const auto part = (*b)[k].value.tensor().data<float>();
        all.insert(all.end(), part.begin(), part.end());
      }
      both.push_back({one[k].name, f32({8, one[k].value.tensor().dim(1)}, all)});
    }
    const double want = whole.step(both).loss;
    const StepResult first = halves.step(one), second = halves.step(two);
    EXPECT_FALSE(first.updated);
    EXPECT_TRUE(second.updated);
    EXPECT_NEAR((first.loss + second.loss) / 2, want, 1e-5);
  }
  EXPECT_EQ(difference(halves.variable("w1"), whole.variable("w1")), "");
  EXPECT_EQ(halves.progress().steps, 3);
  EXPECT_EQ(halves.progress().runs, 6);
}

TEST(Trainer, KeepsAnAverage) {
  TrainerOptions options = at_rate(0.1);
  options.joint.average = 0.75;
  Trainer trainer(parse(kLine), options);
  double want = 0.5;
  for (int i = 0; i < 4; ++i) {
    trainer.step(line_batch());
    want = 0.75 * want + 0.25 * numbers(trainer, "w")[0];
  }
  EXPECT_NEAR(numbers(trainer, "average/w")[0], want, 1e-6);
  const double average = trainer.eval(line_batch(), true).loss;
  EXPECT_NE(average, trainer.eval(line_batch()).loss);
  Trainer other(trainer.exported({.averaged = true}), at_rate(0.1));
  EXPECT_NEAR(other.eval(line_batch()).loss, average, 1e-6);
}

TEST(Trainer, ScalingChangesNoResult) {
  Trainer plain(parse(kTwoLayers), at_rate(0.1));
  TrainerOptions options = at_rate(0.1);
  options.scaling = {.initial = 1024, .interval = 3};
  Trainer scaled(parse(kTwoLayers), options);
  for (uint64_t i = 0; i < 4; ++i) {
    const StepResult step = scaled.step(net_batch(i));
    EXPECT_NEAR(step.loss, plain.step(net_batch(i)).loss, 1e-5);
    EXPECT_EQ(step.norm, 0);  // nobody asks for it
  }
  EXPECT_EQ(scaled.progress().scale, 2048);
  EXPECT_EQ(difference(scaled.variable("w1"), plain.variable("w1"), {1e-4, 1e-6}), "");
}

TEST(Trainer, ScalingSkipsWhatOverflows) {
  TrainerOptions options = at_rate(0.1);
  options.scaling = {.initial = 0x1p+30};
  Trainer trainer(parse(kLine), options);
  Batch batch = line_batch();
  std::get<Tensor>(batch[0].value).data<float>()[0] = 3e14f;
  const std::vector<double> w = numbers(trainer, "w");
  const StepResult result = trainer.step(batch);
  EXPECT_FALSE(result.updated);
  EXPECT_EQ(numbers(trainer, "w"), w);
  EXPECT_EQ(trainer.progress().scale, 0x1p+29);
  EXPECT_TRUE(trainer.step(line_batch()).updated);
}

TEST(Trainer, NamesTheFirstNodeThatIsNotFinite) {
  Trainer trainer(parse(R"(net (float[N, 2] x) => (float[N, 2] y) <float[2] w = {1, 2}> {
    a = Mul (x, w)
    l = Log (a)
    y = Mul (l, w)
  })"),
                  at_rate(0.1));
  const Batch bad = {{"x", f32({1, 2}, {1, -1})}, {"target", f32({1, 2}, {0, 0})}};
  const std::string error = error_of([&] { trainer.step(bad); });
  EXPECT_THAT(error, HasSubstr("the loss of step 1 is not finite"));
  EXPECT_THAT(error, HasSubstr("'l' of a node of Log holds nan at element 1"));
  EXPECT_EQ(numbers(trainer, "w"), std::vector<double>({1, 2}));
  const Batch good = {{"x", f32({1, 2}, {1, 1})}, {"target", f32({1, 2}, {0, 0})}};
  EXPECT_TRUE(std::isfinite(trainer.step(good).loss));
  const Batch nan = {{"x", f32({1, 2}, {1, NAN})}, {"target", f32({1, 2}, {0, 0})}};
  EXPECT_THAT(error_of([&] { trainer.step(nan); }), HasSubstr("'x' holds nan at element 1"));
}

TEST(Trainer, FetchesValuesAndGradients) {
  TrainerOptions options = at_rate(0.1);
  options.joint.fetch = {"product", "grad:product", "grad:b"};
  Trainer trainer(parse(kLine), options);
  trainer.step(line_batch());
  const Tensor y = trainer.fetched("product").tensor(),
               g = trainer.fetched("grad:product").tensor();
  EXPECT_NEAR(y.to_doubles()[0], 1 * 0.5 + 2 * -1, 1e-6);
  EXPECT_NEAR(g.to_doubles()[0], 2 * (-1.5 + 0.25 - 1) / 3, 1e-6);
  const std::vector<double> parts = g.to_doubles();
  EXPECT_NEAR(trainer.fetched("grad:b").tensor().to_doubles()[0], parts[0] + parts[1] + parts[2],
              1e-5);
  EXPECT_THAT(error_of([&] { trainer.fetched("x"); }), HasSubstr("is not fetched"));
  options.joint.fetch = {"grad:nowhere"};
  EXPECT_THAT(error_of([&] { Trainer other(parse(kLine), options); }),
              HasSubstr("no value 'grad:nowhere'"));
}

TEST(Trainer, FollowsScheduleAndHand) {
  TrainerOptions options = at_rate(0.5);
  options.schedule.kind = "step";
  options.schedule.period = 2;
  Trainer trainer(parse(kLine), options);
  std::vector<double> rates;
  for (int i = 0; i < 4; ++i) rates.push_back(trainer.step(line_batch()).rate);
  EXPECT_EQ(rates, std::vector<double>({0.5, 0.5, 0.05, 0.05}));
  trainer.set_rate(0.25);
  EXPECT_EQ(trainer.step(line_batch()).rate, 0.25);
  trainer.set_rate(std::nullopt);
  EXPECT_NEAR(trainer.rate(), 0.005, 1e-12);
  EXPECT_THAT(error_of([&] { trainer.set_rate(-1); }), HasSubstr("learning rate is -1"));
  options.schedule.kind = "plateau";
  options.schedule.patience = 0;
  Trainer plateau(parse(kLine), options);
  for (double loss : {1.0, 2.0}) plateau.measured(loss);
  EXPECT_NEAR(plateau.rate(), 0.05, 1e-12);
}

TEST(Trainer, GivesAndTakesParameters) {
  Trainer trainer(parse(kTwoLayers), at_rate(0.1));
  ASSERT_EQ(trainer.parameter_count(), 12 + 4 + 8 + 2);
  std::vector<float> all(26);
  trainer.get_parameters(all);
  EXPECT_EQ(all[1], -1.0f);
  EXPECT_EQ(all[12], 0.1f);
  const double before = trainer.step(net_batch()).loss;
  EXPECT_NE(trainer.step(net_batch()).loss, before);
  trainer.set_parameters(all);
  EXPECT_EQ(trainer.step(net_batch()).loss, before);
  trainer.set_variable("b2", f32({2}, {7, 8}));
  EXPECT_EQ(numbers(trainer, "b2"), std::vector<double>({7, 8}));
  EXPECT_THAT(error_of([&] {
                trainer.set_variable("b2", f32({3}, {7, 8, 9}));
              }),
              HasSubstr("variable 'b2' is float[2], given float[3]"));
  EXPECT_THAT(error_of([&] { trainer.variable("w3"); }), HasSubstr("no variable 'w3'"));
  EXPECT_THAT(error_of([&] { trainer.get_parameters(std::span(all).first(3)); }),
              HasSubstr("a buffer of 3 numbers for 26 parameters"));
}

TEST(Trainer, SaysWhatABatchLacks) {
  Trainer trainer(parse(kLine), at_rate(0.1));
  Batch batch = line_batch();
  batch.pop_back();
  EXPECT_THAT(error_of([&] { trainer.step(batch); }), HasSubstr("the batch lacks 'target'"));
  batch = line_batch();
  batch.push_back({"tarjet", f32({1}, {1})});
  EXPECT_THAT(error_of([&] { trainer.step(batch); }), HasSubstr("did you mean 'target'"));
  batch = line_batch();
  batch[0].value = f32({3, 3}, std::vector<float>(9));
  EXPECT_THAT(error_of([&] { trainer.step(batch); }), HasSubstr("input 'x'"));
}

TEST(Trainer, ALossOfTheModelsOwn) {
  TrainerOptions options = at_rate(0.1);
  options.joint.loss.kind = "output";
  options.joint.output = "cost";
  Trainer trainer(parse(R"(net (float[N] x, float[N] t) => (float[N] y, float cost)
    <float[1] w = {2}>
  {
    y = Mul (x, w)
    d = Sub (y, t)
    cost = ReduceSumSquare <keepdims = 0> (d)
  })"),
                  options);
  EXPECT_EQ(trainer.target(), "");
  const Batch batch = {{"x", f32({2}, {1, 2})}, {"t", f32({2}, {1, 1})}};
  EXPECT_NEAR(trainer.step(batch).loss, 1 + 9, 1e-6);
  EXPECT_NEAR(numbers(trainer, "w")[0], 2 - 0.1 * 2 * (1 + 6), 1e-6);
  EXPECT_THAT(error_of([&] {
                options.joint.output = "costs";
                Trainer other(parse(kLine), options);
              }),
              HasSubstr("no output 'costs'"));
}

TEST(Trainer, ExportsWithNamesAndMetadata) {
  Graph model = parse(kTwoLayers);
  model.metadata["author"] = "somebody";
  Trainer trainer(model.clone(), at_rate(0.1));
  for (int i = 0; i < 5; ++i) trainer.step(net_batch());
  const Graph out = trainer.exported();
  EXPECT_EQ(out.metadata.at("author"), "somebody");
  EXPECT_EQ(out.outputs()[0].name, "y");
  EXPECT_EQ(out.inputs().size(), 1u);
  EXPECT_TRUE(out.value(out.find_value("w1")).is_constant());
  const Tensor kept = out.value(out.find_value("w1")).constant.clone();
  const Batch batch = net_batch(3);
  EXPECT_EQ(difference(evaluate(out, {batch[0].value})[0], trainer.eval(batch).outputs[0]), "");
  trainer.step(batch);
  EXPECT_TRUE(out.value(out.find_value("w1")).constant == kept) << "shares the live bytes";
  EXPECT_EQ(evaluate(model, {batch[0].value}).size(), 1u);
}

}  // namespace
}  // namespace treadle::test

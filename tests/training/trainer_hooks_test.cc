// What a caller's functions see and change of a step, and updates that are made on request.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <map>

#include "graph/text.h"
#include "tests/support/tensors.h"
#include "training/trainer.h"

namespace treadle::test {
namespace {

using testing::HasSubstr;
using Batch = std::vector<NamedValue>;

// h is read twice, by a composite too.
const char* const kTwice = R"(net (float[N, 3] x) => (float[N, 2] y)
  <float[3, 2] w = {0.5, -1, 0.25, 0.75, -0.5, 1}, float[2] b = {0.1, -0.2}>
{
  a = MatMul (x, w)
  h = Add (a, b)
  g = Mish (h)
  y = Mul (h, g)
})";

Batch batch(uint64_t seed = 1) {
  return {{"x", random_tensor(DType::kFloat, {4, 3}, seed)},
          {"target", random_tensor(DType::kFloat, {4, 2}, seed + 100)}};
}

struct Seen {
  std::map<std::string, std::vector<std::vector<double>>> values;
  Hook hook(const std::string& name, float factor = 1) {
    return {name, [this, factor](const std::string& of, Tensor& value) {
              values[of].push_back(value.to_doubles());
              for (float& v : value.data<float>()) v *= factor;
            }};
  }
};

TrainerOptions with_hooks(std::vector<Hook> hooks) {
  TrainerOptions options;
  options.schedule.rate = 0.1;
  options.joint.hooks = std::move(hooks);
  return options;
}

TEST(Hooks, SeeValuesAndTheirGradientsBeforeAndAfterSummation) {
  Seen seen;
  TrainerOptions options =
      with_hooks({seen.hook("h"), seen.hook("part:h"), seen.hook("grad:h"), seen.hook("grad:x"),
                  seen.hook("y"), seen.hook("grad:w"), seen.hook("part:w")});
  options.joint.fetch = {"h", "grad:h", "grad:x", "grad:w"};
  Trainer trainer(parse(kTwice), options);
  trainer.step(batch());
  for (const std::string name : {"h", "grad:h", "grad:x", "grad:w"}) {
    ASSERT_EQ(seen.values[name].size(), 1u) << name;
    EXPECT_EQ(seen.values[name][0], trainer.fetched(name).tensor().to_doubles()) << name;
  }
  EXPECT_EQ(seen.values["y"].size(), 1u);
  EXPECT_EQ(seen.values["part:w"], seen.values["grad:w"]);
  const auto& parts = seen.values["part:h"];
  ASSERT_GE(parts.size(), 2u);
  for (size_t i = 0; i < parts[0].size(); ++i) {
    double sum = 0;
    for (const auto& part : parts) sum += part[i];
    EXPECT_NEAR(sum, seen.values["grad:h"][0][i], 1e-6);
  }
}

TEST(Hooks, ChangeNothingByLooking) {
  Seen seen;
  Trainer plain(parse(kTwice), with_hooks({}));
  Trainer looked(parse(kTwice), with_hooks({seen.hook("a"), seen.hook("part:h"),
                                            seen.hook("grad:h"), seen.hook("grad:b")}));
  for (uint64_t i = 0; i < 3; ++i)
    EXPECT_NEAR(looked.step(batch(i)).loss, plain.step(batch(i)).loss, 1e-6);
  EXPECT_EQ(difference(looked.variable("w"), plain.variable("w"), {1e-5, 1e-6}), "");
  EXPECT_EQ(seen.values["a"].size(), 3u);
}

TEST(Hooks, WhatTheyLeaveCounts) {
  Seen seen;
  Trainer plain(parse(kTwice), with_hooks({}));
  Trainer doubled(parse(kTwice), with_hooks({seen.hook("grad:h", 2)}));
  Trainer stopped(parse(kTwice), with_hooks({seen.hook("part:h", 0)}));
  const std::vector<double> before = plain.variable("w").to_doubles();
  for (Trainer* t : {&plain, &doubled, &stopped}) t->step(batch());
  const std::vector<double> one = plain.variable("w").to_doubles();
  const std::vector<double> two = doubled.variable("w").to_doubles();
  for (size_t i = 0; i < one.size(); ++i)
    EXPECT_NEAR(two[i] - before[i], 2 * (one[i] - before[i]), 1e-5);
  EXPECT_EQ(stopped.variable("w").to_doubles(), before);

  Trainer silenced(parse(kTwice), with_hooks({seen.hook("y", 0)}));
  double square = 0;
  const Tensor target = batch()[1].value.tensor();
  for (const float t : target.data<float>()) square += double{t} * t;
  EXPECT_NEAR(silenced.step(batch()).loss, square / 8, 1e-5);
}

TEST(Hooks, ComeOneAfterAnother) {
  Seen seen;
  TrainerOptions options = with_hooks({seen.hook("h", 2), seen.hook("h"), seen.hook("grad:h", 2),
                                       seen.hook("grad:h"), seen.hook("part:w")});
  options.joint.accumulate = 2;
  Trainer trainer(parse(kTwice), options);
  trainer.step(batch(1));
  trainer.step(batch(2));
  for (const std::string name : {"h", "grad:h"}) {
    const auto& values = seen.values[name];
    ASSERT_EQ(values.size(), 4u);
    for (size_t i = 0; i < values[0].size(); ++i)
      EXPECT_NEAR(values[1][i], 2 * values[0][i], 1e-6) << name;
  }
  EXPECT_EQ(seen.values["part:w"].size(), 2u);
}

TEST(Hooks, OnWhatIsNotThereAreRefused) {
  Seen seen;
  const auto error = [&](const std::string& name) -> std::string {
    try {
      Trainer trainer(parse(kTwice), with_hooks({seen.hook(name)}));
    } catch (const Error& e) {
      return e.what();
    }
    return "";
  };
  EXPECT_THAT(error("nowhere"), HasSubstr("no value 'nowhere' for a hook"));
  EXPECT_THAT(error("part:nowhere"), HasSubstr("no value 'nowhere' for a hook"));
}

TEST(Trainer, UpdatesOnRequestByTheSumOfBatches) {
  TrainerOptions options = with_hooks({});
  options.joint.update.rule = "momentum";
  options.joint.update.momentum = 0.9;
  options.joint.update.clip_norm = 0.5;
  Trainer halves(parse(kTwice), [&] {
    TrainerOptions o = options;
    o.joint.accumulate = 2;
    return o;
  }());
  options.joint.accumulate = 0;
  options.joint.gradient_norm = true;
  Trainer trainer(parse(kTwice), options);
  for (uint64_t i = 0; i < 3; ++i) {
    trainer.accumulate(batch(7));
    trainer.zero();
    for (const uint64_t part : {2 * i, 2 * i + 1}) {
      EXPECT_FALSE(trainer.accumulate(batch(part)).updated);
      halves.step(batch(part));
    }
    const StepResult result = trainer.apply(0.5);
    EXPECT_TRUE(result.updated);
    EXPECT_GT(result.norm, 0);
    EXPECT_EQ(result.rate, 0.1);
  }
  EXPECT_EQ(difference(trainer.variable("w"), halves.variable("w"), {1e-5, 1e-6}), "");
  EXPECT_EQ(difference(trainer.variable("velocity/w"), halves.variable("velocity/w"), {1e-4, 1e-5}),
            "");
  EXPECT_EQ(trainer.progress().steps, 3);
  EXPECT_EQ(trainer.progress().runs, 9);
}

TEST(Trainer, KeepsTheSumsWhereABatchIsNotFinite) {
  TrainerOptions options = with_hooks({});
  options.joint.accumulate = 0;
  Trainer trainer(parse(kTwice), options);
  trainer.accumulate(batch());
  const std::vector<double> sum = trainer.variable("sum/w").to_doubles();
  Batch bad = batch(2);
  std::get<Tensor>(bad[0].value).data<float>()[0] = NAN;
  EXPECT_THROW(trainer.accumulate(bad), Error);
  EXPECT_EQ(trainer.variable("sum/w").to_doubles(), sum);
  trainer.apply();
  EXPECT_EQ(trainer.variable("sum/w").to_doubles(), std::vector<double>(6, 0));
}

}  // namespace
}  // namespace treadle::test

// Memory for time: a trainer gives up values of the forward pass and makes them again.
#include <gtest/gtest.h>

#include "graph/ops/op.h"
#include "tests/support/tensors.h"
#include "training/new_models.h"
#include "training/run/predict.h"
#include "training/settings.h"
#include "training/trainer.h"

namespace treadle::test {
namespace {

struct Trained {
  std::vector<double> losses;
  std::vector<float> parameters;
  size_t arena_bytes;
};

Trained train(const Graph& model, const std::string& budget) {
  TrainerOptions options;
  options.joint.loss.kind = "cross_entropy";
  options.joint.update.rule = "momentum";
  options.joint.update.momentum = 0.9;
  set_train_setting(options, "memory_budget", budget);
  Trainer trainer(model.clone(), options);
  const std::vector<NamedValue> batch = {
      {trainer.inputs()[0].name, random_tensor(DType::kFloat, {6, 3, 16, 16}, 1)},
      {"target", i64({6}, {0, 1, 2, 3, 4, 5})}};
  Trained trained;
  for (int i = 0; i < 3; ++i) trained.losses.push_back(trainer.step(batch).loss);
  trained.parameters.resize(static_cast<size_t>(trainer.parameter_count()));
  trainer.get_parameters(trained.parameters);
  trained.arena_bytes = trainer.memory().arena_bytes;
  return trained;
}

TEST(MemoryBudget, ChangesNoBit) {
  for (const char* kind : {"cnn", "mobilenetv2"}) {
    SCOPED_TRACE(kind);
    NewModelOptions o;
    o.kind = kind;
    o.input_shape = {3, 16, 16};
    const Graph model = new_model(o);
    const Trained all = train(model, "none");
    for (const char* budget : {"0", "1MB", "1"}) {
      const Trained less = train(model, budget);
      EXPECT_EQ(less.losses, all.losses) << budget;
      EXPECT_EQ(less.parameters, all.parameters) << budget;
      EXPECT_LE(less.arena_bytes, all.arena_bytes) << budget;
    }
    EXPECT_LT(train(model, "1").arena_bytes, all.arena_bytes * 7 / 8);
  }
}

// Before the first step it is known what the library counts after it.
TEST(PredictMemory, IsWhatAStepTakes) {
  for (const char* budget : {"none", "0", "1"}) {
    NewModelOptions o;
    o.kind = "cnn";
    o.input_shape = {3, 32, 32};
    TrainerOptions options;
    options.joint.loss.kind = "cross_entropy";
    options.joint.update.rule = "adam";
    set_train_setting(options, "memory_budget", budget);
    Trainer trainer(new_model(o), options);
    Source source;
    source.inputs = {{"", DType::kFloat, {3, 32, 32}}};
    source.target = {"target", DType::kInt64, {}};
    const StepMemory predicted = predict_memory(trainer, source, 24);
    EXPECT_GE(predicted.variables, 3 * 4 * static_cast<size_t>(trainer.parameter_count()));
    const std::vector<NamedValue> batch = {
        {trainer.inputs()[0].name, random_tensor(DType::kFloat, {24, 3, 32, 32}, 1)},
        {"target", Tensor::zeros(DType::kInt64, {24})}};
    for (int i = 0; i < 2; ++i) trainer.step(batch);
    const StepMemory counted{variable_bytes(trainer), trainer.memory()};
    EXPECT_NEAR(static_cast<double>(predicted.all()), static_cast<double>(counted.all()),
                0.05 * static_cast<double>(counted.all()))
        << budget;
  }
}

TEST(MemoryBudget, IsReadInUnits) {
  TrainerOptions options;
  const auto read = [&](const char* text) {
    set_train_setting(options, "memory_budget", text);
    return options.memory_budget;
  };
  EXPECT_EQ(read("1000"), 1000);
  EXPECT_EQ(read("2KB"), 2000);
  EXPECT_EQ(read("1.5GB"), 1'500'000'000);
  EXPECT_EQ(read("0"), 0);
  EXPECT_EQ(read("none"), -1);
  for (const char* bad : {"", "MB", "-1", "1TB", "1e30", "nan", "5 MB"}) {
    EXPECT_THROW(read(bad), Error) << bad;
  }
}

}  // namespace
}  // namespace treadle::test

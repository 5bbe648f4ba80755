// Memory for time: a trainer gives up values of the forward pass and makes them again.
#include <gtest/gtest.h>

#include "graph/ops/op.h"
#include "tests/support/tensors.h"
#include "training/new_models.h"
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

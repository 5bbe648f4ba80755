// The loop around a trainer: events, validation, early stopping, resuming, learning-rate search.
#include "training/run/fit.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cmath>

#include "files/file.h"
#include "importer/importer.h"
#include "tests/support/tensors.h"
#include "tests/training/data_files.h"
#include "training/new_models.h"

namespace treadle::test {
namespace {

// Two classes of points, told apart by the sign of the sum of their coordinates.
Source points(int64_t size, uint64_t seed) {
  Source s;
  s.name = "points";
  s.inputs = {{"", DType::kFloat, {4}}};
  s.target = {"target", DType::kInt64, {}};
  s.classes = {"below", "above"};
  s.size = size;
  s.sample = [seed](int64_t i) {
    Tensor x = random_tensor(DType::kFloat, {4}, seed + static_cast<uint64_t>(i));
    float sum = 0;
    for (const float v : x.data<float>()) sum += v;
    return Sample{{x}, Tensor::scalar<int64_t>(sum > 0 ? 1 : 0)};
  };
  return s;
}

std::unique_ptr<Trainer> trainer(double rate = 0.05) {
  TrainerOptions o;
  o.joint.loss.kind = "cross_entropy";
  o.joint.update.rule = "momentum";
  o.joint.seed = 4;
  o.schedule.rate = rate;
  NewModelOptions m;
  m.kind = "mlp";
  m.classes = 2;
  m.input_shape = {4};
  m.hidden = {16};
  return std::make_unique<Trainer>(new_model(m), o);
}

FitOptions options(int64_t epochs) {
  FitOptions o;
  o.epochs = epochs;
  o.loader.batch = 16;
  return o;
}

DataSet data() { return {points(200, 1), points(64, 10'000)}; }

double number(const NamedNumbers& numbers, const std::string& name) {
  for (const auto& [key, value] : numbers) {
    if (key == name) return value;
  }
  return NAN;
}

TEST(Fit, LearnsAndTells) {
  FitOptions o = options(12);
  std::vector<Event::Kind> kinds;
  int started = 0, steps = 0;
  o.on_event = [&](const Event& e) {
    if (e.kind == Event::Kind::kStepStarted) {
      EXPECT_EQ(started++, steps);
    } else if (e.kind == Event::Kind::kStepCompleted) {
      EXPECT_EQ(++steps, started);
    } else {
      kinds.push_back(e.kind);
    }
  };
  const auto t = trainer();
  const FitResult r = fit(*t, data(), o);
  EXPECT_EQ(steps, 12 * 13);
  EXPECT_EQ(r.steps, 12 * 13);
  EXPECT_GT(number(r.last, "val_accuracy"), 0.93);
  ASSERT_EQ(kinds.size(), 2u + 2 * 12);
  EXPECT_EQ(kinds.front(), Event::Kind::kStarted);
  EXPECT_EQ(kinds[1], Event::Kind::kEpochStarted);
  EXPECT_EQ(kinds[2], Event::Kind::kEpochCompleted);
  EXPECT_EQ(kinds.back(), Event::Kind::kCompleted);
}

TEST(Fit, GoesOnAsIfItHadNeverStopped) {
  const Folder folder;
  FitOptions whole = options(0);
  whole.epochs = 0;
  whole.steps = 40;
  whole.out = folder.path() / "whole";
  const auto a = trainer();
  fit(*a, data(), whole);
  FitOptions parts = whole;
  parts.out = folder.path() / "parts";
  parts.checkpoint_steps = 1;
  CancelToken token;
  parts.cancel = &token;
  parts.on_event = [&](const Event& e) {
    if (e.step == 17) token.cancel();  // in the middle of an epoch
  };
  EXPECT_TRUE(fit(*trainer(), data(), parts).cancelled);
  parts.cancel = nullptr;
  parts.on_event = nullptr;
  parts.resume = true;
  parts.loader.threads = 4;
  const auto b = trainer();
  fit(*b, data(), parts);
  for (const Variable& v : a->variables())
    EXPECT_EQ(difference(b->variable(v.name), a->variable(v.name), {0, 0}), "") << v.name;
  EXPECT_EQ(read_file(parts.out / "metrics.jsonl"), read_file(whole.out / "metrics.jsonl"));
  const Graph exported = load(parts.out / "model.onnx");
  EXPECT_EQ(exported.outputs()[0].name, "scores");
}

TEST(Fit, StopsWhenNothingGetsBetter) {
  FitOptions o = options(50);
  o.patience = 2;
  const FitResult r = fit(*trainer(1e-12), data(), o);
  EXPECT_TRUE(r.stopped_early);
  EXPECT_LT(r.epochs, 50);
}

TEST(Fit, KeepsTheLastGoodCheckpoint) {
  const Folder folder;
  FitOptions o = options(3);
  o.out = folder.path();
  std::string told;
  o.on_event = [&](const Event& e) {
    if (e.kind == Event::Kind::kException) told = e.text;
  };
  DataSet set = data();
  const auto seen = std::make_shared<std::atomic<int>>(0);
  set.train.sample = [seen, inner = set.train.sample](int64_t i) {
    Sample s = inner(i);
    TREADLE_CHECK(++*seen <= 300, kIo, "cannot read 'file", i, "'");
    return s;
  };
  const std::string problem = error_of([&] { fit(*trainer(), set, o); });
  EXPECT_NE(problem.find("cannot read"), std::string::npos) << problem;
  EXPECT_NE(problem.find("step "), std::string::npos) << problem;
  EXPECT_EQ(told, problem);
  EXPECT_TRUE(CheckpointFolder(folder.path() / "checkpoints").newest().has_value());
}

TEST(Fit, WarnsOfAMonitorThatNothingMeasures) {
  FitOptions o = options(2);
  std::string told;
  o.on_event = [&](const Event& e) {
    if (e.kind == Event::Kind::kStarted) told += e.text;
  };
  fit(*trainer(), data(), o);
  EXPECT_EQ(told, "");
  o.monitor = "val_accurcy";
  fit(*trainer(), data(), o);
  EXPECT_EQ(told,
            "no epoch has a number 'val_accurcy', the monitor: none is the best; did you mean "
            "'val_accuracy'?");
}

TEST(Fit, MeasuresOverSamplesNotBatches) {
  const auto t = trainer();
  FitOptions small = options(1), large = options(1);
  small.loader.batch = 7;
  large.loader.batch = 64;
  const NamedNumbers a = evaluate_source(*t, points(64, 1), small);
  const NamedNumbers b = evaluate_source(*t, points(64, 1), large);
  EXPECT_NEAR(number(a, "loss"), number(b, "loss"), 1e-6);
  EXPECT_EQ(number(a, "accuracy"), number(b, "accuracy"));
}

TEST(Fit, LeavesOutWhatIsBroken) {
  DataSet set = data();
  const auto broken_from = std::make_shared<int64_t>(1);
  for (Source* s : {&set.train, &set.val}) {
    s->sample = [broken_from, inner = s->sample](int64_t i) {
      TREADLE_CHECK(i % 2 < *broken_from, kIo, "cannot read 'file", i, "'");
      return inner(i);
    };
  }
  FitOptions o = options(1);
  o.loader.batch = 1;
  EXPECT_NE(error_of([&] { fit(*trainer(), set, o); }).find("cannot read"), std::string::npos);
  o.loader.skip_broken = true;
  const FitResult r = fit(*trainer(), set, o);
  EXPECT_EQ(r.steps, (set.train.size + 1) / 2);
  EXPECT_EQ(number(r.last, "val_left_out"), static_cast<double>(set.val.size / 2));
  *broken_from = 0;
  EXPECT_NE(error_of([&] { fit(*trainer(), set, o); }).find("no sample of"), std::string::npos);
}

TEST(Fit, FindsARateAndLeavesTheTrainerAsItWas) {
  const auto t = trainer();
  const Tensor before = t->variable("layer1.weight").clone();
  const RateSearch r = find_rate(*t, points(200, 1), options(1).loader, 60);
  EXPECT_GT(r.suggestion, 1e-5);
  EXPECT_LT(r.suggestion, 10);
  EXPECT_EQ(difference(t->variable("layer1.weight"), before, {0, 0}), "");
  EXPECT_EQ(t->progress().steps, 0);
}

TEST(Fit, RefusesWhatCannotBe) {
  const auto t = trainer();
  FitOptions o = options(1);
  o.steps = 1;
  EXPECT_NE(error_of([&] { fit(*t, data(), o); }).find("either epochs or steps"),
            std::string::npos);
  DataSet other = data();
  other.train.inputs[0].dims = {5};
  EXPECT_NE(error_of([&] { fit(*t, other, options(1)); }).find("[5]"), std::string::npos);
}

}  // namespace
}  // namespace treadle::test

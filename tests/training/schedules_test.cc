// Schedules beside literals, worked out by hand (one_cycle: PyTorch's OneCycleLR).
#include "training/schedules.h"

#include <gtest/gtest.h>

#include "graph/base/error.h"

namespace treadle {
namespace {

void expect_rates(const ScheduleOptions& options,
                  const std::vector<std::pair<int64_t, double>>& wanted) {
  check_schedule(options);
  for (const auto& [step, rate] : wanted) {
    EXPECT_NEAR(scheduled_rate(options, step), rate, 1e-12) << options.kind << " at step " << step;
  }
}

ScheduleOptions schedule(const char* kind) {
  ScheduleOptions o;
  o.kind = kind;
  o.rate = 0.8;
  o.gamma = 0.5;
  return o;
}

TEST(Schedules, Constant) { expect_rates(schedule("constant"), {{0, 0.8}, {1000, 0.8}}); }

TEST(Schedules, Step) {
  ScheduleOptions o = schedule("step");
  o.period = 10;
  expect_rates(o, {{0, 0.8}, {9, 0.8}, {10, 0.4}, {25, 0.2}});
}

TEST(Schedules, MultiStep) {
  ScheduleOptions o = schedule("multistep");
  o.milestones = {3, 30};
  expect_rates(o, {{2, 0.8}, {3, 0.4}, {29, 0.4}, {30, 0.2}});
}

TEST(Schedules, Exponential) {
  expect_rates(schedule("exponential"), {{0, 0.8}, {1, 0.4}, {3, 0.1}});
}

TEST(Schedules, Inverse) {
  ScheduleOptions o = schedule("inverse");
  o.power = 2;
  expect_rates(o, {{0, 0.8}, {2, 0.2}, {6, 0.05}});
}

TEST(Schedules, Polynomial) {
  ScheduleOptions o = schedule("polynomial");
  o.steps = 100;
  o.power = 2;
  o.last = 0.1;
  expect_rates(o, {{0, 0.8}, {50, 0.275}, {100, 0.1}, {1000, 0.1}});
}

TEST(Schedules, Cosine) {
  ScheduleOptions o = schedule("cosine");
  o.steps = 100;
  expect_rates(o, {{0, 0.8}, {50, 0.4}, {100, 0}, {101, 0}});
}

TEST(Schedules, OneCycle) {
  ScheduleOptions o = schedule("one_cycle");
  o.steps = 100;
  expect_rates(o, {{0, 0.032}, {29, 0.8}, {64, 0.4000016}, {99, 3.2e-6}, {500, 3.2e-6}});
}

TEST(Schedules, WarmUp) {
  ScheduleOptions o = schedule("cosine");
  o.warm_up = 3;
  o.steps = 103;
  expect_rates(o, {{0, 0.2}, {1, 0.4}, {2, 0.6}, {3, 0.8}, {53, 0.4}, {103, 0}});
}

TEST(Schedules, Plateau) {
  ScheduleOptions o = schedule("plateau");
  o.patience = 2;
  expect_rates(o, {{0, 0.8}, {99, 0.8}});
  Plateau p;
  for (const double loss : {1.0, 0.9, 0.95, 0.9}) p.measured(o, loss);
  EXPECT_EQ(p.reductions, 0);
  p.measured(o, 0.89999);  // not better by the threshold
  EXPECT_EQ(p.reductions, 1);
  EXPECT_EQ(p.best, 0.9);
  p.measured(o, 0.5);
  EXPECT_EQ(p.bad, 0);
}

TEST(Schedules, RefuseWhatTheyCannotDo) {
  EXPECT_THROW(check_schedule(schedule("cosine")), Error);  // without the number of steps
  EXPECT_THROW(check_schedule(schedule("cosin")), Error);
  ScheduleOptions o = schedule("step");
  o.period = 0;
  EXPECT_THROW(check_schedule(o), Error);
}

}  // namespace
}  // namespace treadle

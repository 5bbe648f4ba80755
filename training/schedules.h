// Learning rates as pure functions of the step, so that a resumed run needs nothing but its step.
// Only "plateau" looks at what was measured, and keeps its state in a struct of its own.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace treadle {

struct ScheduleOptions {
  // s is the step from 0, less the warm-up; S = steps, all of them, less the warm-up.
  // "constant":    rate
  // "step":        rate·gamma^⌊s/period⌋
  // "multistep":   rate·gamma^(milestones that are ≤ s)
  // "exponential": rate·gamma^s
  // "inverse":     rate·(1 + gamma·s)^-power
  // "polynomial":  last + (rate-last)·(1 - s/S)^power, last after S
  // "cosine":      last + (rate-last)·(1 + cos(π·s/S))/2, last after S
  // "one_cycle":   from rate/25 up to rate over the first `rise` of the steps, then down to
  //                rate/250000, both along a half cosine (PyTorch's OneCycleLR)
  // "plateau":     rate times gamma for each time that `patience` epochs did not improve (Plateau)
  std::string kind = "constant";
  double rate = 0.01;
  double gamma = 0.1;
  double power = 1;
  double last = 0;    // polynomial, cosine
  double rise = 0.3;  // one_cycle
  int64_t period = 1;
  std::vector<int64_t> milestones;
  int64_t steps = 0;    // polynomial, cosine, one_cycle: of the whole run
  int64_t warm_up = 0;  // steps before, in which the rate grows evenly: rate·(step+1)/(warm_up+1)
  int64_t patience = 10;    // plateau
  double threshold = 1e-4;  // plateau: better is below best·(1 - threshold)
};

std::vector<std::string> schedule_kinds();
// Whether the rates depend on how many steps there are.
bool is_bounded(const ScheduleOptions& options);
// kInvalidArgument: an unknown kind (with the close match), or a number out of its range.
void check_schedule(const ScheduleOptions& options);
// The learning rate of a step, from 0. For "plateau" before any reduction.
double scheduled_rate(const ScheduleOptions& options, int64_t step);

// What the plateau schedule has seen; the least measured is the best.
struct Plateau {
  double best = 0;
  int64_t bad = 0;         // epochs since the best
  int64_t reductions = 0;  // so far
  bool started = false;
  // After an epoch. The rate is then scheduled_rate · gamma^reductions.
  void measured(const ScheduleOptions& options, double value);
};

}  // namespace treadle

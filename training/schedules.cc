#include "training/schedules.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "graph/base/error.h"
#include "graph/base/suggestion.h"

namespace treadle {
namespace {

// From a to b along half a cosine.
double swing(double a, double b, double part) {
  return b + (a - b) * (1 + std::cos(std::numbers::pi * part)) / 2;
}

double reached(const ScheduleOptions& o, int64_t s) {
  return static_cast<double>(
      std::count_if(o.milestones.begin(), o.milestones.end(), [&](int64_t m) { return m <= s; }));
}

double one_cycle(const ScheduleOptions& o, int64_t s) {
  const auto last = static_cast<double>(o.steps - o.warm_up - 1);
  const double peak = o.rise * (last + 1) - 1;
  const double at = std::min(static_cast<double>(s), last);
  if (at <= peak) return swing(o.rate / 25, o.rate, peak > 0 ? at / peak : 1);
  return swing(o.rate, o.rate / 25e4, (at - peak) / (last - peak));
}

struct ScheduleDef {
  const char* kind;
  bool bounded;                                                      // needs the number of steps
  double (*rate)(const ScheduleOptions& o, int64_t s, double done);  // done: s/S, at most 1
};

constexpr ScheduleDef kSchedules[] = {
    {"constant", false, [](const ScheduleOptions& o, int64_t, double) { return o.rate; }},
    {"step", false,
     [](const ScheduleOptions& o, int64_t s, double) {
       return o.rate * std::pow(o.gamma, static_cast<double>(s / o.period));
     }},
    {"multistep", false,
     [](const ScheduleOptions& o, int64_t s, double) {
       return o.rate * std::pow(o.gamma, reached(o, s));
     }},
    {"exponential", false,
     [](const ScheduleOptions& o, int64_t s, double) {
       return o.rate * std::pow(o.gamma, static_cast<double>(s));
     }},
    {"inverse", false,
     [](const ScheduleOptions& o, int64_t s, double) {
       return o.rate * std::pow(1 + o.gamma * static_cast<double>(s), -o.power);
     }},
    {"polynomial", true,
     [](const ScheduleOptions& o, int64_t, double done) {
       return o.last + (o.rate - o.last) * std::pow(1 - done, o.power);
     }},
    {"cosine", true,
     [](const ScheduleOptions& o, int64_t, double done) { return swing(o.rate, o.last, done); }},
    {"one_cycle", true,
     [](const ScheduleOptions& o, int64_t s, double) { return one_cycle(o, s); }},
    {"plateau", false, [](const ScheduleOptions& o, int64_t, double) { return o.rate; }},
};

const ScheduleDef& find_schedule(const std::string& kind) {
  for (const ScheduleDef& def : kSchedules) {
    if (def.kind == kind) return def;
  }
  fail(Code::kInvalidArgument, "there is no schedule '", kind, "'",
       suggestion(kind, schedule_kinds()));
}

}  // namespace

bool is_bounded(const ScheduleOptions& options) { return find_schedule(options.kind).bounded; }

std::vector<std::string> schedule_kinds() {
  std::vector<std::string> kinds;
  for (const ScheduleDef& def : kSchedules) kinds.emplace_back(def.kind);
  return kinds;
}

void check_schedule(const ScheduleOptions& o) {
  const ScheduleDef& def = find_schedule(o.kind);
  TREADLE_CHECK(std::isfinite(o.rate) && o.rate >= 0, kInvalidArgument, "the learning rate is ",
                o.rate, ", expected a number of at least 0");
  TREADLE_CHECK(o.period > 0, kInvalidArgument, "the schedule's period is ", o.period);
  TREADLE_CHECK(o.gamma >= 0, kInvalidArgument, "the schedule's gamma is ", o.gamma);
  TREADLE_CHECK(o.warm_up >= 0, kInvalidArgument, "the warm-up is ", o.warm_up, " steps");
  TREADLE_CHECK(o.rise > 0 && o.rise < 1, kInvalidArgument, "the schedule's rise is ", o.rise,
                ", expected between 0 and 1");
  TREADLE_CHECK(!def.bounded || o.steps > o.warm_up, kInvalidArgument, "schedule '", o.kind,
                "' needs the number of steps, above the warm-up of ", o.warm_up, ": it is ",
                o.steps);
}

double scheduled_rate(const ScheduleOptions& o, int64_t step) {
  if (step < o.warm_up) {
    return o.rate * static_cast<double>(step + 1) / static_cast<double>(o.warm_up + 1);
  }
  const int64_t s = step - o.warm_up;
  const double all = static_cast<double>(std::max<int64_t>(o.steps - o.warm_up, 1));
  return find_schedule(o.kind).rate(o, s, std::min(static_cast<double>(s) / all, 1.0));
}

void Plateau::measured(const ScheduleOptions& o, double value) {
  if (!started || value < best * (1 - o.threshold)) {
    started = true, best = value, bad = 0;
  } else if (++bad > o.patience) {
    bad = 0, ++reductions;
  }
}

}  // namespace treadle

#include "tools/treadle/measure.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <exception>
#include <latch>
#include <mutex>
#include <numeric>
#include <system_error>
#include <thread>

namespace treadle::tool {
namespace {

using Clock = std::chrono::steady_clock;

double ms_between(Clock::time_point start, Clock::time_point end) {
  return std::chrono::duration<double, std::milli>(end - start).count();
}

std::vector<double> percentiles(const Args& args) {
  std::vector<double> asked = args.numbers("percentiles", {90, 99});
  for (const double p : asked) {
    if (p < 0 || p > 100) throw UsageError(cat("--percentiles: ", p, " is not in 0..100"));
  }
  return asked;
}

double at_fraction(const std::vector<double>& sorted, double fraction) {
  const auto index = static_cast<size_t>(static_cast<double>(sorted.size()) * fraction);
  return sorted[std::min(index, sorted.size() - 1)];
}

class Lanes {
 public:
  Lanes(const Args& args, const std::vector<std::function<void()>>& calls)
      : calls_(calls),
        warmup_(args.integer("warmup", 3)),
        iterations_(args.integer("iterations", 0, 1)),
        duration_ms_(args.positive("duration", 2) * 1e3),
        start_(static_cast<ptrdiff_t>(calls.size())),
        measured_(calls.size()) {}

  Times run() {
    {
      std::vector<std::jthread> threads;
      try {
        for (size_t i = 1; i < calls_.size(); ++i) threads.emplace_back([this, i] { lane(i); });
      } catch (const std::system_error& e) {
        note(std::make_exception_ptr(
            Error(Code::kDevice, cat("cannot start thread ", threads.size() + 2, ": ", e.what()))));
        start_.count_down(static_cast<ptrdiff_t>(calls_.size() - 1 - threads.size()));
      }
      lane(0);
    }
    if (error_ != nullptr) std::rethrow_exception(error_);
    return collected();
  }

 private:
  struct Measured {
    Clock::time_point begin, end;
    std::vector<double> times;
  };

  void lane(size_t i) {
    guarded([&] {
      for (int64_t k = 0; k < warmup_ && !failed_; ++k) calls_[i]();
    });
    start_.arrive_and_wait();
    Measured& m = measured_[i];
    m.begin = m.end = Clock::now();
    guarded([&] {
      while (goes_on(m)) {
        const auto start = Clock::now();
        calls_[i]();
        m.end = Clock::now();
        m.times.push_back(ms_between(start, m.end));
      }
    });
  }

  bool goes_on(const Measured& m) {
    if (failed_) return false;
    if (iterations_ > 0) return made_.fetch_add(1) < iterations_;
    return m.times.size() < 5 || ms_between(m.begin, m.end) < duration_ms_;
  }

  template <class F>
  void guarded(F&& f) {
    try {
      f();
    } catch (...) {
      note(std::current_exception());
    }
  }

  void note(std::exception_ptr error) {
    const std::lock_guard lock(mutex_);
    if (error_ == nullptr) error_ = std::move(error);
    failed_ = true;
  }

  Times collected() const {
    Times all;
    Clock::time_point begin = Clock::time_point::max(), end = Clock::time_point::min();
    for (const Measured& m : measured_) {
      all.each.insert(all.each.end(), m.times.begin(), m.times.end());
      begin = std::min(begin, m.begin);
      end = std::max(end, m.end);
    }
    all.seconds = ms_between(begin, end) / 1e3;
    return all;
  }

  const std::vector<std::function<void()>>& calls_;
  int64_t warmup_, iterations_;
  double duration_ms_;
  std::latch start_;
  std::vector<Measured> measured_;
  std::atomic<int64_t> made_{0};
  std::atomic<bool> failed_{false};
  std::mutex mutex_;
  std::exception_ptr error_;
};

}  // namespace

void check_measuring(const Args& args) {
  args.integer("warmup", 3), args.integer("iterations", 0, 1);
  args.positive("duration", 2), percentiles(args);
}

Times measure(const Args& args, const std::vector<std::function<void()>>& lanes) {
  return Lanes(args, lanes).run();
}

Json times_json(const Times& times, const Args& args) {
  std::vector<double> sorted = times.each;
  std::sort(sorted.begin(), sorted.end());
  const double sum = std::accumulate(sorted.begin(), sorted.end(), 0.0);
  Json json = {{"min_ms", sorted.front()},
               {"median_ms", at_fraction(sorted, 0.5)},
               {"mean_ms", sum / static_cast<double>(sorted.size())}};
  for (const double p : percentiles(args)) json[cat("p", p, "_ms")] = at_fraction(sorted, p / 100);
  json["max_ms"] = sorted.back();
  return json;
}

}  // namespace treadle::tool

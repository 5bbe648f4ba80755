// Random numbers of one place in a run: the same whatever thread asks, and in whatever order.
#pragma once

#include <cmath>
#include <cstdint>
#include <numbers>

#include "graph/ops/philox.h"

namespace treadle {

// What the numbers are for parts the streams of one seed.
enum class Purpose : uint64_t { kOrder = 1, kAugment = 2, kSplit = 3, kMixup = 4, kSearch = 5 };

class Random {
 public:
  Random(uint64_t seed, Purpose purpose, uint64_t epoch = 0, uint64_t sample = 0)
      : key_(mixed(mixed(mixed(seed, static_cast<uint64_t>(purpose)), epoch), sample)) {}

  double uniform() { return philox_uniform(key_, at_++); }  // in [0, 1)
  double uniform(double low, double high) { return low + (high - low) * uniform(); }
  bool coin() { return uniform() < 0.5; }
  int64_t below(int64_t count) {  // in [0, count), count > 0
    return static_cast<int64_t>(uniform() * static_cast<double>(count));
  }
  double normal() {  // Box and Muller's method
    const double radius = std::sqrt(-2 * std::log(1 - uniform()));
    return radius * std::cos(2 * std::numbers::pi * uniform());
  }

 private:
  static uint64_t mixed(uint64_t key, uint64_t counter) {
    const auto x = philox(key, counter);
    return uint64_t{x[0]} << 32 | x[1];
  }
  uint64_t key_;
  uint64_t at_ = 0;
};

}  // namespace treadle

#include "backends/cpu/parallel.h"

#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <set>
#include <stdexcept>
#include <vector>

namespace treadle::test {
namespace {

using cpu::Workload;

// The ranges that the body gets, in order.
std::set<std::pair<int64_t, int64_t>> ranges_of(int threads, const Workload& work) {
  std::set<std::pair<int64_t, int64_t>> ranges;
  std::mutex mutex;
  cpu::parallel_for(threads, work, [&](int64_t begin, int64_t end) {
    const std::lock_guard lock(mutex);
    EXPECT_TRUE(ranges.emplace(begin, end).second) << begin;
  });
  return ranges;
}

TEST(Parallel, RangesCoverAllOnce) {
  for (const int threads : {1, 2, 3, 5}) {
    for (const int64_t n : {1, 2, 5, 7, 16, 117, 216, 1001}) {
      for (const int64_t grain : {1, 3, 40}) {
        for (const int64_t unit : {1, 4, 18, 500}) {
          int64_t next = 0;
          for (const auto& [begin, end] : ranges_of(threads, {n, grain, unit})) {
            EXPECT_EQ(begin, next);
            EXPECT_LT(begin, end);
            next = end;
          }
          EXPECT_EQ(next, n);
        }
      }
    }
  }
}

TEST(Parallel, RangesAreNoSmallerThanTheGrain) {
  for (const auto& [begin, end] : ranges_of(2, {.n = 100, .grain = 7})) EXPECT_GE(end - begin, 7);
  EXPECT_EQ(ranges_of(2, {.n = 13, .grain = 7}).size(), 1);
}

// But for the shares' own ends: two threads share 234 at 117. Few units are taken apart, so that
// there is something to take over.
TEST(Parallel, RangesEndAtUnits) {
  for (const int64_t n : {216, 234}) {
    const auto ranges = ranges_of(2, {.n = n, .unit = 18});
    EXPECT_GT(ranges.size(), 8);
    for (const auto& [begin, end] : ranges)
      EXPECT_TRUE(end % 18 == 0 || end == n / 2 || end == n) << begin << " " << end;
  }
  EXPECT_EQ(ranges_of(2, {.n = 834, .unit = 834}).size(), 16);
}

TEST(Parallel, SlotsBelongToOneThreadAtATime) {
  std::vector<int> busy(3);
  std::vector<int> seen(1000);
  cpu::parallel_slots(4, 3, {.n = 1000}, [&](int64_t slot, int64_t begin, int64_t end) {
    int& mine = busy.at(static_cast<size_t>(slot));
    EXPECT_EQ(mine++, 0);
    for (int64_t i = begin; i < end; ++i) ++seen[static_cast<size_t>(i)];
    --mine;
  });
  EXPECT_EQ(seen, std::vector<int>(1000, 1));
}

TEST(Parallel, AnExceptionReachesTheCaller) {
  const auto body = [](int64_t begin, int64_t) {
    if (begin == 0) throw std::runtime_error("first");
  };
  EXPECT_THROW(cpu::parallel_for(2, {.n = 100}, body), std::runtime_error);
}

// Each step by all of the team, after all of the one before.
TEST(Parallel, StepsFollowEachOther) {
  for (const int threads : {1, 2, 3}) {
    constexpr int64_t kSteps = 200;
    std::vector<std::atomic<int64_t>> calls(kSteps);
    std::atomic<int64_t> early = 0;
    cpu::parallel_steps(threads, kSteps, [&](int64_t thread, int64_t team, int64_t step) {
      EXPECT_LT(thread, team);
      EXPECT_LE(team, threads);
      if (step > 0 && calls[static_cast<size_t>(step - 1)] != team) ++early;
      ++calls[static_cast<size_t>(step)];
    });
    EXPECT_EQ(early, 0);
    EXPECT_GE(calls[kSteps - 1], 1);
  }
}

TEST(Parallel, StepsEndWithAnError) {
  std::atomic<int64_t> last = -1;
  const auto run = [&] {
    cpu::parallel_steps(2, 50, [&](int64_t thread, int64_t, int64_t step) {
      if (step == 7 && thread == 0) throw std::runtime_error("seven");
      if (thread == 0) last = step;
    });
  };
  EXPECT_THROW(run(), std::runtime_error);
  EXPECT_EQ(last, 6);
}

}  // namespace
}  // namespace treadle::test

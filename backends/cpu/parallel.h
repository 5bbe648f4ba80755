// Splits work over the threads of a kernel. The only place of the native kernels that knows OpenMP.
#pragma once

#include <algorithm>
#include <cstdint>

namespace treadle::cpu {

// [0, n). Ranges are no smaller than `grain` where n allows. Where several units make a thread's
// share, ranges within it end at multiples of `unit` instead: units are dear to take apart.
struct Workload {
  int64_t n;
  int64_t grain = 1;
  int64_t unit = 1;
};

namespace detail {
// `slot`: of the thread, less than `parts`.
using RangeBody = void (*)(const void* body, int64_t slot, int64_t begin, int64_t end);
// Each of the parts, of about equal size, is taken in at least one piece.
void run_parts(int threads, const Workload& work, int64_t parts, RangeBody call, const void* body);
using StepBody = void (*)(const void* body, int64_t thread, int64_t team, int64_t step);
void run_steps(int threads, int64_t steps, StepBody call, const void* body);
}  // namespace detail

// Calls body(begin, end) for disjoint ranges that cover [0, n). Each thread takes its share piece
// by piece and then what others have not begun: it may have more of its processor than they. Work
// of up to one grain stays on the caller, and with threads == 1 no parallel region is opened. An
// exception of the body is rethrown on the caller.
template <class F>
void parallel_for(int threads, Workload work, const F& body) {
  if (work.n <= 0) return;
  work.grain = std::max<int64_t>(work.grain, 1);
  const int64_t parts = std::min<int64_t>(threads, work.n / work.grain);
  if (parts <= 1) {
    body(int64_t{0}, work.n);
    return;
  }
  detail::run_parts(
      threads, work, parts,
      [](const void* f, int64_t, int64_t begin, int64_t end) {
        (*static_cast<const F*>(f))(begin, end);
      },
      &body);
}
template <class F>
void parallel_for(int threads, int64_t n, int64_t grain, const F& body) {
  parallel_for(threads, {.n = n, .grain = grain}, body);
}

// The same as body(slot, begin, end) by so many threads, each of which has memory of its own: that
// of its slot, less than `slots`, which is at most `threads`.
template <class F>
void parallel_slots(int threads, int64_t slots, const Workload& work, const F& body) {
  if (work.n <= 0) return;
  const int64_t parts = std::min(slots, work.n);
  if (parts <= 1) {
    body(int64_t{0}, int64_t{0}, work.n);
    return;
  }
  detail::run_parts(
      threads, work, parts,
      [](const void* f, int64_t slot, int64_t begin, int64_t end) {
        (*static_cast<const F*>(f))(slot, begin, end);
      },
      &body);
}

// Calls body(thread, team, step) for each step of [0, steps), in this order, by each of the `team`
// threads, at most `threads`: none begins a step before all have ended the last. For steps so short
// that bringing the threads together for each would take longer. The first exception of a body is
// rethrown on the caller.
template <class F>
void parallel_steps(int threads, int64_t steps, const F& body) {
  detail::run_steps(
      threads, steps,
      [](const void* f, int64_t thread, int64_t team, int64_t step) {
        (*static_cast<const F*>(f))(thread, team, step);
      },
      &body);
}

// Elementary operations (a load, an addition…) below which a range is not worth waking a thread
// for.
inline constexpr int64_t kParallelGrain = 32768;

}  // namespace treadle::cpu

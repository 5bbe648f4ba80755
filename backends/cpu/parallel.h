// Splits work over the threads of a kernel. The only place of the native kernels that knows OpenMP.
#pragma once

#include <algorithm>
#include <cstdint>

namespace treadle::cpu {

namespace detail {
using RangeBody = void (*)(const void* body, int64_t begin, int64_t end);
void run_parts(int threads, int64_t n, int64_t grain, RangeBody call, const void* body);
}  // namespace detail

// Calls body(begin, end) for disjoint ranges that cover [0, n). Each thread takes its share piece
// by piece and then what others have not begun: it may have more of its processor than they. Ranges
// are no smaller than `grain` where n allows: work of up to one grain stays on the caller, and with
// threads == 1 no parallel region is opened. An exception of the body is rethrown on the caller.
template <class F>
void parallel_for(int threads, int64_t n, int64_t grain, const F& body) {
  if (n <= 0) return;
  grain = std::max<int64_t>(grain, 1);
  if (threads <= 1 || n / grain <= 1) {
    body(int64_t{0}, n);
    return;
  }
  detail::run_parts(
      threads, n, grain,
      [](const void* f, int64_t begin, int64_t end) { (*static_cast<const F*>(f))(begin, end); },
      &body);
}

// Elementary operations (a load, an addition…) below which a range is not worth waking a thread
// for.
inline constexpr int64_t kParallelGrain = 32768;

}  // namespace treadle::cpu

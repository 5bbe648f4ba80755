#include "backends/cpu/parallel.h"

#include <omp.h>

#include <atomic>
#include <exception>

namespace treadle::cpu::detail {

void run_parts(int threads, int64_t n, int64_t parts, RangeBody call, const void* body) {
  std::exception_ptr error;
  std::atomic_flag failed = ATOMIC_FLAG_INIT;
  // Always the whole team: libgomp ends the threads that a smaller team leaves out.
#pragma omp parallel num_threads(threads)
  {
    // The system may grant fewer threads than asked for.
    for (int64_t part = omp_get_thread_num(); part < parts; part += omp_get_num_threads()) {
      const int64_t base = n / parts;
      const int64_t rest = n % parts;
      const int64_t begin = part * base + std::min(part, rest);
      try {
        call(body, begin, begin + base + (part < rest ? 1 : 0));
      } catch (...) {
        if (!failed.test_and_set()) error = std::current_exception();
      }
    }
  }
  if (error) std::rethrow_exception(error);
}

}  // namespace treadle::cpu::detail

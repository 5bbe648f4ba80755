#include "backends/cpu/parallel.h"

#include <omp.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <exception>
#include <new>

namespace treadle::cpu::detail {
namespace {

// Pieces of a thread's share that nobody has taken: it takes the first, others the last.
class alignas(64) Share {
 public:
  explicit Share(uint32_t pieces) : left_(pieces) {}
  // False where none is left.
  bool take(bool first, int64_t& piece) {
    uint64_t left = left_.load(std::memory_order_relaxed);
    uint64_t begin, end;
    do {
      begin = left >> 32;
      end = left & 0xffffffffU;
      if (begin == end) return false;
    } while (!left_.compare_exchange_weak(left, first ? left + (uint64_t{1} << 32) : left - 1,
                                          std::memory_order_relaxed));
    piece = static_cast<int64_t>(first ? begin : end - 1);
    return true;
  }

 private:
  std::atomic<uint64_t> left_;  // the first in the upper half, the end in the lower
};

}  // namespace

void run_parts(int threads, const Workload& work, int64_t parts, RangeBody call, const void* body) {
  constexpr int64_t kMostPieces = 8, kFewPieces = 4, kMostParts = 256;
  parts = std::min(parts, kMostParts);
  const bool in_units = work.n / parts / work.unit >= kFewPieces;
  const int64_t unit = in_units ? work.unit : 1;
  const int64_t pieces =
      std::clamp<int64_t>(work.n / parts / std::max(work.grain, unit), 1, kMostPieces);
  alignas(Share) std::byte memory[kMostParts * sizeof(Share)];  // a run allocates nothing
  auto* shares = reinterpret_cast<Share*>(memory);
  for (int64_t i = 0; i < parts; ++i) new (shares + i) Share(static_cast<uint32_t>(pieces));
  std::exception_ptr error;
  std::atomic_flag failed = ATOMIC_FLAG_INIT;
  const auto part_begin = [&](int64_t part) {
    return work.n / parts * part + std::min(part, work.n % parts);
  };
  const auto piece_begin = [&](int64_t part, int64_t piece) {
    const int64_t first = part_begin(part), end = part_begin(part + 1);
    if (piece == pieces) return end;
    const int64_t at =
        first + (end - first) / pieces * piece + std::min(piece, (end - first) % pieces);
    return std::max(first, at / unit * unit);
  };
  // Always the whole team: libgomp ends the threads that a smaller team leaves out.
#pragma omp parallel num_threads(threads)
  {
    const int64_t own = omp_get_thread_num();
    for (int64_t i = 0; own < parts && i < parts; ++i) {
      const int64_t part = (own + i) % parts;
      Share& share = shares[part];
      for (int64_t piece; share.take(i == 0, piece);) {
        const int64_t begin = piece_begin(part, piece), end = piece_begin(part, piece + 1);
        if (begin == end) continue;
        try {
          call(body, own, begin, end);
        } catch (...) {
          if (!failed.test_and_set()) error = std::current_exception();
        }
      }
    }
  }
  if (error) std::rethrow_exception(error);
}

void run_steps(int threads, int64_t steps, StepBody call, const void* body) {
  std::exception_ptr error;
  std::atomic<bool> failed = false;
#pragma omp parallel num_threads(threads)
  {
    const int64_t thread = omp_get_thread_num(), team = omp_get_num_threads();
    for (int64_t step = 0; step < steps; ++step) {
      try {
        if (!failed.load(std::memory_order_relaxed)) call(body, thread, team, step);
      } catch (...) {
        if (!failed.exchange(true)) error = std::current_exception();
      }
#pragma omp barrier
    }
  }
  if (error) std::rethrow_exception(error);
}

}  // namespace treadle::cpu::detail

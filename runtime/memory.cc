// Offsets for buffers of known lifetimes: largest first, each into the lowest
// gap that is free while it lives.
#include <algorithm>
#include <numeric>

#include "runtime/plan.h"

namespace treadle {
namespace {

// Where a buffer ends, in whole lines.
size_t end_of(size_t offset, size_t bytes) {
  size_t end;
  TREADLE_CHECK(!__builtin_add_overflow(offset, bytes, &end) && end <= SIZE_MAX - kAlignment,
                kLimit, "buffers of more than 2^64 bytes");
  return (end + kAlignment - 1) / kAlignment * kAlignment;
}

}  // namespace

size_t place_buffers(std::vector<Lifetime>& buffers) {
  std::vector<size_t> order(buffers.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return buffers[a].bytes > buffers[b].bytes; });
  std::vector<size_t> placed;  // by offset
  size_t arena = 0;
  for (size_t i : order) {
    Lifetime& buffer = buffers[i];
    size_t offset = 0;
    for (size_t j : placed) {
      const Lifetime& other = buffers[j];
      if (other.last < buffer.first || buffer.last < other.first) continue;
      if (end_of(offset, buffer.bytes) <= other.offset) break;
      offset = std::max(offset, end_of(other.offset, other.bytes));
    }
    buffer.offset = offset;
    const auto at =
        std::upper_bound(placed.begin(), placed.end(), offset,
                         [&](size_t value, size_t j) { return value < buffers[j].offset; });
    placed.insert(at, i);
    arena = std::max(arena, end_of(offset, buffer.bytes));
  }
  return arena;
}

}  // namespace treadle

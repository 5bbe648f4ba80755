// Offsets for buffers of known lifetimes: largest first, each into the lowest
// gap that is free while it lives; of very many, in the order of their birth.
#include <algorithm>
#include <map>
#include <numeric>
#include <queue>
#include <set>

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

// Comparing every pair takes too long from here on.
constexpr size_t kMany = 8192;

// The free bytes of an arena that grows.
class Gaps {
 public:
  // The smallest gap that holds `bytes`, whole lines.
  size_t take(size_t bytes) {
    const auto found = by_size_.lower_bound({bytes, 0});
    if (found == by_size_.end()) return grow(bytes);
    const auto [size, offset] = *found;
    erase(offset, size);
    if (size > bytes) insert(offset + bytes, size - bytes);
    return offset;
  }

  void give(size_t offset, size_t bytes) {
    if (bytes == 0) return;
    auto next = by_offset_.lower_bound(offset);
    if (next != by_offset_.begin()) {
      const auto [before, size] = *std::prev(next);
      if (before + size == offset) {
        erase(before, size);
        offset = before;
        bytes += size;
      }
    }
    next = by_offset_.lower_bound(offset);
    if (next != by_offset_.end() && next->first == offset + bytes) {
      const size_t size = next->second;
      erase(next->first, size);
      bytes += size;
    }
    insert(offset, bytes);
  }

  size_t end() const { return end_; }

 private:
  size_t grow(size_t bytes) {
    size_t offset = end_;
    if (!by_offset_.empty()) {
      const auto [last, size] = *by_offset_.rbegin();
      if (last + size == end_) {
        offset = last;
        erase(last, size);
      }
    }
    end_ = end_of(offset, bytes);
    return offset;
  }
  void insert(size_t offset, size_t size) {
    by_offset_.emplace(offset, size);
    by_size_.emplace(size, offset);
  }
  void erase(size_t offset, size_t size) {
    by_offset_.erase(offset);
    by_size_.erase({size, offset});
  }

  std::map<size_t, size_t> by_offset_;
  std::set<std::pair<size_t, size_t>> by_size_;
  size_t end_ = 0;
};

size_t place_by_birth(std::vector<Lifetime>& buffers) {
  std::vector<size_t> order(buffers.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return buffers[a].first < buffers[b].first; });
  using Death = std::pair<size_t, size_t>;  // step, buffer
  std::priority_queue<Death, std::vector<Death>, std::greater<>> alive;
  Gaps gaps;
  for (size_t i : order) {
    for (; !alive.empty() && alive.top().first < buffers[i].first; alive.pop()) {
      const Lifetime& dead = buffers[alive.top().second];
      gaps.give(dead.offset, end_of(0, dead.bytes));
    }
    buffers[i].offset = gaps.take(end_of(0, buffers[i].bytes));
    alive.emplace(buffers[i].last, i);
  }
  return gaps.end();
}

}  // namespace

size_t place_buffers(std::vector<Lifetime>& buffers) {
  if (buffers.size() > kMany) return place_by_birth(buffers);
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

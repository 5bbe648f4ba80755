#include "backends/cpu/native/byte_steps.h"

#include <algorithm>
#include <cstring>

#include "backends/cpu/native/lines.h"

namespace treadle::cpu {
namespace {

constexpr size_t kQuad = ByteForm::kQuad;

// Whether 16 bits hold the sums of two products of each column's quad.
bool fits(const int8_t* quads, size_t width) {
  constexpr int kMost = ByteForm::kMostOfPair;
  unsigned beyond = 0;
  for (size_t i = 0; i < width * kQuad; i += 2)
    beyond |= static_cast<unsigned>(quads[i] + quads[i + 1] + kMost) > 2 * kMost ? 1 : 0;
  return beyond == 0;
}

// Rows `half` and half + 1 of each quad.
void widen(const int8_t* quads, size_t width, size_t half, int16_t* to) {
  for (size_t i = 0; i < width; ++i) {
    to[2 * i] = quads[i * kQuad + half];
    to[2 * i + 1] = quads[i * kQuad + half + 1];
  }
}

}  // namespace

void StepPacker::add_block(const int8_t* weights, size_t width) {
  const size_t step = width * kQuad;
  offsets_.clear();
  for (size_t at = 0; at < depth_; at += kQuad) {
    if (fits(weights + at * width, width)) offsets_.push_back(static_cast<uint32_t>(at));
  }
  const size_t quads = offsets_.size(), pairs = 2 * (depth_ / kQuad - quads);
  const size_t begin = extend((quads + pairs) * sizeof(uint32_t));
  const size_t first = extend((quads + pairs) * step);
  std::byte* to = data_.data() + first;
  for (size_t i = 0; i < quads; ++i, to += step)
    std::memcpy(to, weights + offsets_[i] * width, step);
  for (size_t at = 0, next = 0; at < depth_; at += kQuad) {
    if (next < quads && offsets_[next] == at) {
      ++next;
      continue;
    }
    for (size_t half = 0; half < kQuad; half += 2, to += step) {
      widen(weights + at * width, width, half, reinterpret_cast<int16_t*>(to));
      offsets_.push_back(static_cast<uint32_t>(depth_ + (at + half) * sizeof(int16_t)));
    }
  }
  std::memcpy(data_.data() + begin, offsets_.data(), offsets_.size() * sizeof(uint32_t));
  steps_.push_back({begin, first, quads, pairs});
}

size_t StepPacker::extend(size_t bytes) {
  const size_t at = data_.size();
  data_.resize(at + static_cast<size_t>(whole_lines(static_cast<int64_t>(bytes))));
  return at;
}

}  // namespace treadle::cpu

#include "backends/cpu/native/byte_steps.h"

namespace treadle::cpu {
namespace {

constexpr size_t kQuad = ByteForm::kQuad;

// Whether 16 bits hold the sums of two products of each column's quad.
bool fit(const int8_t* quads, size_t width) {
  constexpr int kMost = ByteForm::kMostOfPair;
  bool fits = true;
  for (size_t i = 0; i < width * kQuad; i += 2) {
    const int sum = quads[i] + quads[i + 1];
    fits &= sum >= -kMost && sum <= kMost;
  }
  return fits;
}

template <class T>
void add(const T* from, size_t count, std::vector<std::byte>& to) {
  const auto* bytes = reinterpret_cast<const std::byte*>(from);
  to.insert(to.end(), bytes, bytes + count * sizeof(T));
}

}  // namespace

void StepPacker::add_block(const int8_t* weights, size_t width) {
  quads_ = pairs_ = {};
  for (size_t at = 0; at < depth_; at += kQuad, weights += width * kQuad) {
    if (fit(weights, width)) {
      quads_.offsets.push_back(static_cast<uint32_t>(at));
      add(weights, width * kQuad, quads_.weights);
    } else {
      add_pairs(weights, width, at);
    }
  }
  ByteSteps steps{data_.size(), 0, quads_.offsets.size(), pairs_.offsets.size()};
  add(quads_.offsets.data(), steps.quads, data_);
  add(pairs_.offsets.data(), steps.pairs, data_);
  align();
  steps.at = data_.size();
  add(quads_.weights.data(), quads_.weights.size(), data_);
  add(pairs_.weights.data(), pairs_.weights.size(), data_);
  align();
  steps_.push_back(steps);
}

void StepPacker::add_pairs(const int8_t* quads, size_t width, size_t at) {
  for (size_t half = 0; half < kQuad; half += 2) {
    pairs_.offsets.push_back(static_cast<uint32_t>(depth_ + (at + half) * sizeof(int16_t)));
    for (size_t column = 0; column < width; ++column) {
      const int8_t* from = quads + column * kQuad + half;
      const int16_t pair[] = {from[0], from[1]};
      add(pair, 2, pairs_.weights);
    }
  }
}

void StepPacker::align() { data_.resize((data_.size() + kLine - 1) / kLine * kLine); }

}  // namespace treadle::cpu

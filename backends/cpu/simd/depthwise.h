// Convolution of channels-last rows in groups, of one channel (depthwise) or of a few, for the
// instruction set of the machine.
#pragma once

#include <cstddef>
#include <cstdint>

namespace treadle::cpu {

struct DepthwiseEpilogue {
  enum class Kind : uint8_t { kNone, kClamp, kHardSwish, kSwish };
  Kind kind = Kind::kNone;
  float low = 0;  // kClamp
  float high = 0;
};

// An output row, or two that follow each other. Channels lie innermost everywhere; `channels` is at
// least a vector.
struct DepthwiseRows {
  const float* const* rows;  // the input rows that they read, null where it is padding
  int count;                 // 1, or what depthwise_rows() says
  size_t depth = 1;          // channels of a group: a part of a vector
  const float* weights;      // [kernel, kernel, depth, channels]
  const float* bias;         // [channels]
  const float* zeros;        // [channels]
  float* out;
  size_t channels;
  int64_t width;  // of the input
  int64_t out_width;
  int64_t pad;  // columns before the input
  DepthwiseEpilogue epilogue;
};
using DepthwiseFn = void (*)(const DepthwiseRows& rows);

// Null where there is none for this kernel size and stride, or for groups of so many channels.
DepthwiseFn depthwise_function(int64_t kernel, int64_t stride, int64_t depth = 1);
// Channels that a vector holds.
size_t depthwise_lanes();
// Output rows that are best taken at once, which share the input rows they read.
int depthwise_rows();

}  // namespace treadle::cpu

// Depthwise convolution of bytes in channels-last rows, for the instruction set of the machine.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace treadle::cpu {

// How what belongs to channels is packed: in blocks of neighbouring channels, `largest` at most,
// each in an order that its vectors take. Channels of the last block may be in the one before too,
// where that is one block less.
struct ChannelBlocks {
  size_t largest;  // channels: a power of two
  bool pairs;      // weights are pairs of int16, of the even rows and then of the odd, else int8

  static constexpr size_t kSmallest = 16;
  // Of the block at `at`, of so many channels in all.
  size_t size(size_t channels, size_t at) const {
    size_t size = largest;
    while (size > kSmallest && (size > channels || size / 2 >= channels - at)) size /= 2;
    return size;
  }
  // Channels of all blocks.
  size_t total(size_t channels) const {
    size_t at = 0;
    while (at < channels) at += size(channels, at);
    return at;
  }
  // The channel at place i of a block.
  static size_t channel(size_t size, size_t i) {
    const size_t quarter = i / (size / 4), lane = i % (size / 4);
    return lane / 4 * 16 + quarter * 4 + lane % 4;
  }
};
ChannelBlocks quantized_depthwise_blocks();

// Rows of taps that are multiplied at once, for a channel.
inline constexpr size_t kQuad = 4;
constexpr size_t quads_of(size_t kernel) { return (kernel + kQuad - 1) / kQuad * kernel; }

// One output row. Y = scale * (start + the sum of taps) + bias, for each channel, plus a zero
// point.
struct QuantizedDepthwiseRow {
  const uint8_t* const* rows;  // the input row of each tap row, null where it is padding
  // For each block: [kernel rows / kQuad, kernel columns, quarter of the channels, channel, row].
  const std::byte* weights;
  const int32_t* starts;
  const float* scales;
  const float* biases;
  const uint8_t* zeros;  // [channels]: what padding holds
  uint8_t* out;
  size_t channels;  // ChannelBlocks::kSmallest at least
  int64_t width;    // of the input
  int64_t out_width;
  int64_t pad;         // columns before the input
  uint8_t flip;        // makes uint8 of the input
  uint8_t flip_out;    // and makes the output of int8
  int16_t zero_point;  // of the output as int8
};
using QuantizedDepthwiseFn = void (*)(const QuantizedDepthwiseRow& row);

// Null where there is none for this kernel size and stride.
QuantizedDepthwiseFn quantized_depthwise_function(int64_t kernel, int64_t stride);

}  // namespace treadle::cpu

// Convolution in groups of one channel (depthwise) or a few, in channels-last layout, native.
#pragma once

#include <optional>

#include "backends/cpu/family.h"
#include "backends/cpu/parallel.h"
#include "backends/cpu/simd/depthwise.h"
#include "graph/ops/conv_params.h"

namespace treadle::cpu {

// Whether the kernels of rows, of floats or of bytes, can have these windows: two-dimensional, one
// for each of at least `lanes` channels, without dilations, as large as the largest kernel at most;
// `grouped`: groups of several channels too, as far as simd/depthwise.h has them.
Support supports_depthwise_windows(const NodeSpec& spec, size_t lanes, bool grouped = false);
Support supports_depthwise_windows(const ConvParams& p, size_t lanes, bool grouped = false);

// Of the node's activation; none where the kernels do not have it.
std::optional<DepthwiseEpilogue> depthwise_epilogue(const Node& node);
// Weights [channels, depth, kernel, kernel] as [kernel, kernel, depth, channels].
std::shared_ptr<Buffer> depthwise_weights(const Tensor& w, const CompileContext& context);
// What all rows of a convolution have in common. The bias is `zeros`, one a channel.
DepthwiseRows common_rows(const ConvParams& p, const Buffer& weights, const Buffer& zeros,
                          const DepthwiseEpilogue& epilogue);

struct DepthwiseSplit {
  int threads;
  int64_t at_once;  // output rows: one or two
};

// Calls f(first output row, how many, the input rows that they read, null where it is padding) for
// all rows of all images, on several threads where there is work for them.
template <class T, class F>
void for_depthwise_rows(const ConvParams& p, const DepthwiseSplit& split, const T* x, const F& f) {
  constexpr int64_t kMaxRows = 7 + 1;  // that two output rows read
  const int64_t groups = ceil_div(p.output[0], split.at_once);
  const int64_t taps = p.group_inputs() * p.kernel[0] * p.kernel[1];
  const int64_t work = split.at_once * p.output[1] * p.in_channels * taps;
  const int64_t grain = std::max<int64_t>(1, kParallelGrain / work);
  parallel_for(split.threads, p.batch * groups, grain, [&](int64_t begin, int64_t end) {
    const T* rows[kMaxRows];
    for (int64_t g = begin; g < end; ++g) {
      const int64_t n = g / groups, first = g % groups * split.at_once;
      const int64_t count = std::min(split.at_once, p.output[0] - first);
      for (int64_t k = 0; k < (count - 1) * p.strides[0] + p.kernel[0]; ++k) {
        const int64_t i = first * p.strides[0] - p.pads_begin[0] + k;
        const bool inside = i >= 0 && i < p.input[0];
        rows[k] = inside ? x + (n * p.input[0] + i) * p.input[1] * p.in_channels : nullptr;
      }
      f(n * p.output[0] + first, count, static_cast<const T* const*>(rows));
    }
  });
}

extern const Family kDepthwise, kGrouped;

}  // namespace treadle::cpu

#include "backends/cpu/simd/depthwise.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/simd/depthwise.cc"
#include <hwy/foreach_target.h>

#include "backends/cpu/simd/math.h"
#include "backends/cpu/simd/simd.h"

HWY_BEFORE_NAMESPACE();
namespace treadle::cpu::HWY_NAMESPACE {

using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;
constexpr D d;

HWY_INLINE V finish(V x, const DepthwiseEpilogue& e) {
  switch (e.kind) {
    case DepthwiseEpilogue::Kind::kClamp: return clamp(x, hn::Set(d, e.low), hn::Set(d, e.high));
    case DepthwiseEpilogue::Kind::kHardSwish: {
      const V gate = hn::MulAdd(x, hn::Set(d, 1.0f / 6), hn::Set(d, 0.5f));
      return hn::Mul(x, clamp(gate, hn::Zero(d), hn::Set(d, 1.0f)));
    }
    case DepthwiseEpilogue::Kind::kSwish: return swish_of(d, x, hn::Set(d, 1.0f));
    default: return x;
  }
}

// Input columns that a block of kBlock outputs reads.
template <int kKernel, int kStride, int kBlock>
constexpr int kSpan = (kBlock - 1) * kStride + kKernel;

// kBlock neighbouring outputs of one vector of channels: every input column is loaded once for all
// the outputs that read it. `column(row, i)` is the address of column i of the span.
template <int kKernel, int kStride, int kBlock, class Column>
HWY_INLINE void block(const DepthwiseRow& r, size_t c, float* out, const Column& column) {
  V sums[kBlock];
#pragma GCC unroll 16
  for (int o = 0; o < kBlock; ++o) sums[o] = hn::LoadU(d, r.bias + c);
  for (int row = 0; row < kKernel; ++row) {
    if (r.rows[row] == nullptr) continue;
    const float* weights = r.weights + static_cast<size_t>(row * kKernel) * r.channels + c;
    V w[kKernel];
#pragma GCC unroll 8
    for (int k = 0; k < kKernel; ++k)
      w[k] = hn::LoadU(d, weights + static_cast<size_t>(k) * r.channels);
#pragma GCC unroll 32
    for (int i = 0; i < kSpan<kKernel, kStride, kBlock>; ++i) {
      const V x = hn::LoadU(d, column(row, i) + c);
#pragma GCC unroll 16
      for (int o = 0; o < kBlock; ++o) {
        const int k = i - o * kStride;
        if (k >= 0 && k < kKernel) sums[o] = hn::MulAdd(x, w[k], sums[o]);
      }
    }
  }
#pragma GCC unroll 16
  for (int o = 0; o < kBlock; ++o) {
    hn::StoreU(finish(sums[o], r.epilogue), d, out + static_cast<size_t>(o) * r.channels + c);
  }
}

// All channels; the last vector overlaps the one before it.
template <int kKernel, int kStride, int kBlock, class Column>
HWY_INLINE void all_channels(const DepthwiseRow& r, float* out, const Column& column) {
  const size_t lanes = hn::Lanes(d);
  size_t c = 0;
  for (; c + lanes <= r.channels; c += lanes) block<kKernel, kStride, kBlock>(r, c, out, column);
  if (c < r.channels) block<kKernel, kStride, kBlock>(r, r.channels - lanes, out, column);
}

template <int kKernel, int kStride, int kBlock>
HWY_NOINLINE void outputs(const DepthwiseRow& r, int64_t first_output) {
  constexpr int kColumns = kSpan<kKernel, kStride, kBlock>;
  float* out = r.out + static_cast<size_t>(first_output) * r.channels;
  const int64_t first = first_output * kStride - r.pad;
  if (first >= 0 && first + kColumns <= r.width) {
    const size_t at = static_cast<size_t>(first) * r.channels;
    return all_channels<kKernel, kStride, kBlock>(r, out, [&](int row, int i) HWY_ATTR {
      return r.rows[row] + at + static_cast<size_t>(i) * r.channels;
    });
  }
  const float* columns[kKernel][kColumns];
  for (int row = 0; row < kKernel; ++row) {
    for (int i = 0; i < kColumns; ++i) {
      const int64_t x = first + i;
      const bool inside = x >= 0 && x < r.width && r.rows[row] != nullptr;
      columns[row][i] = inside ? r.rows[row] + static_cast<size_t>(x) * r.channels : r.zeros;
    }
  }
  all_channels<kKernel, kStride, kBlock>(r, out,
                                         [&](int row, int i) HWY_ATTR { return columns[row][i]; });
}

// Blocks of 7 outputs (the usual widths are multiples of it); the last one overlaps the one before
// it.
template <int kKernel, int kStride>
void depthwise_row(const DepthwiseRow& r) {
  constexpr int kWide = 7, kNarrow = 3;
  int64_t o = 0;
  for (; o + kWide <= r.out_width; o += kWide) outputs<kKernel, kStride, kWide>(r, o);
  if (r.out_width - o > kNarrow && r.out_width >= kWide) {
    return outputs<kKernel, kStride, kWide>(r, r.out_width - kWide);
  }
  for (; o + kNarrow <= r.out_width; o += kNarrow) outputs<kKernel, kStride, kNarrow>(r, o);
  for (; o < r.out_width; ++o) outputs<kKernel, kStride, 1>(r, o);
}

DepthwiseFn find_depthwise(int64_t kernel, int64_t stride) {
  if (kernel == 3 && stride == 1) return depthwise_row<3, 1>;
  if (kernel == 3 && stride == 2) return depthwise_row<3, 2>;
  if (kernel == 5 && stride == 1) return depthwise_row<5, 1>;
  if (kernel == 5 && stride == 2) return depthwise_row<5, 2>;
  return nullptr;
}

size_t count_lanes() { return hn::Lanes(d); }

}  // namespace treadle::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace treadle::cpu {

HWY_EXPORT(find_depthwise);
HWY_EXPORT(count_lanes);

DepthwiseFn depthwise_function(int64_t kernel, int64_t stride) {
  prepare_simd();
  return HWY_DYNAMIC_DISPATCH(find_depthwise)(kernel, stride);
}

size_t depthwise_lanes() {
  prepare_simd();
  return HWY_DYNAMIC_DISPATCH(count_lanes)();
}

}  // namespace treadle::cpu
#endif

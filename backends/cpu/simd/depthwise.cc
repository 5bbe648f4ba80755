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
    case DepthwiseEpilogue::Kind::kSwish: return swish_of(d, x);
    default: return x;
  }
}

// Of a block: kRows rows of kBlock outputs, and the span of input that they read.
template <int kKernelSize, int kStep, int kOutputs, int kOutputRows>
struct Shape {
  static constexpr int kKernel = kKernelSize, kStride = kStep, kBlock = kOutputs,
                       kRows = kOutputRows;
  static constexpr int kSpan = (kBlock - 1) * kStride + kKernel;
  static constexpr int kInputRows = (kRows - 1) * kStride + kKernel;
  // Whether output row q reads that input row.
  static constexpr bool reads(int q, int row) {
    return row >= q * kStride && row < q * kStride + kKernel;
  }
};

// Two where there are registers for their sums.
constexpr int kMostRows = HWY_MAX_BYTES >= 64 ? 2 : 1;

// The lanes of the i-th channels of a vector's groups.
HWY_INLINE auto of_groups(size_t depth, size_t i) {
  constexpr hn::RebindToUnsigned<D> u;
  const auto group = hn::Set(u, static_cast<uint32_t>(~(depth - 1)));
  return hn::Add(hn::And(hn::Iota(u, 0), group), hn::Set(u, static_cast<uint32_t>(i)));
}

// kBlock neighbouring outputs of each of kRows rows, of one vector of channels: every input column
// is loaded once for all the outputs that read it. `column(row, i)` is the address of column i of
// the span.
template <class S, bool kGrouped, class Column>
HWY_INLINE void block(const DepthwiseRows& r, size_t c, float* out, const Column& column) {
  const size_t depth = kGrouped ? r.depth : 1;
  V sums[S::kRows][S::kBlock];
  const V bias = hn::LoadU(d, r.bias + c);
#pragma GCC unroll 2
  for (int q = 0; q < S::kRows; ++q) {
#pragma GCC unroll 16
    for (int o = 0; o < S::kBlock; ++o) sums[q][o] = bias;
  }
#pragma GCC unroll 8
  for (int row = 0; row < S::kInputRows; ++row) {
    if (r.rows[row] == nullptr) continue;
    for (size_t input = 0; input < depth; ++input) {
      V w[S::kRows][S::kKernel];
#pragma GCC unroll 2
      for (int q = 0; q < S::kRows; ++q) {
        if (!S::reads(q, row)) continue;
#pragma GCC unroll 8
        for (int k = 0; k < S::kKernel; ++k) {
          const auto tap = static_cast<size_t>((row - q * S::kStride) * S::kKernel + k);
          w[q][k] = hn::LoadU(d, r.weights + (tap * depth + input) * r.channels + c);
        }
      }
      const auto order = hn::IndicesFromVec(d, of_groups(depth, input));
#pragma GCC unroll 32
      for (int i = 0; i < S::kSpan; ++i) {
        V x = hn::LoadU(d, column(row, i) + c);
        if constexpr (kGrouped) x = hn::TableLookupLanes(x, order);
#pragma GCC unroll 2
        for (int q = 0; q < S::kRows; ++q) {
          if (!S::reads(q, row)) continue;
#pragma GCC unroll 16
          for (int o = 0; o < S::kBlock; ++o) {
            const int k = i - o * S::kStride;
            if (k >= 0 && k < S::kKernel) sums[q][o] = hn::MulAdd(x, w[q][k], sums[q][o]);
          }
        }
      }
    }
  }
#pragma GCC unroll 2
  for (int q = 0; q < S::kRows; ++q) {
    float* to = out + static_cast<size_t>(q * r.out_width) * r.channels + c;
#pragma GCC unroll 16
    for (int o = 0; o < S::kBlock; ++o)
      hn::StoreU(finish(sums[q][o], r.epilogue), d, to + static_cast<size_t>(o) * r.channels);
  }
}

// All channels; the last vector overlaps the one before it.
template <class S, bool kGrouped, class Column>
HWY_INLINE void all_channels(const DepthwiseRows& r, float* out, const Column& column) {
  const size_t lanes = hn::Lanes(d);
  size_t c = 0;
  for (; c + lanes <= r.channels; c += lanes) block<S, kGrouped>(r, c, out, column);
  if (c < r.channels) block<S, kGrouped>(r, r.channels - lanes, out, column);
}

template <class S, bool kGrouped>
HWY_NOINLINE void outputs(const DepthwiseRows& r, int64_t first_output) {
  float* out = r.out + static_cast<size_t>(first_output) * r.channels;
  const int64_t first = first_output * S::kStride - r.pad;
  if (first >= 0 && first + S::kSpan <= r.width) {
    const size_t at = static_cast<size_t>(first) * r.channels;
    return all_channels<S, kGrouped>(r, out, [&](int row, int i) HWY_ATTR {
      return r.rows[row] + at + static_cast<size_t>(i) * r.channels;
    });
  }
  const float* columns[S::kInputRows][S::kSpan];
  for (int row = 0; row < S::kInputRows; ++row) {
    for (int i = 0; i < S::kSpan; ++i) {
      const int64_t x = first + i;
      const bool inside = x >= 0 && x < r.width && r.rows[row] != nullptr;
      columns[row][i] = inside ? r.rows[row] + static_cast<size_t>(x) * r.channels : r.zeros;
    }
  }
  all_channels<S, kGrouped>(r, out, [&](int row, int i) HWY_ATTR { return columns[row][i]; });
}

// Blocks of 7 outputs (the usual widths are multiples of it); the last one overlaps the one before
// it.
template <int kKernel, int kStride, int kRows, bool kGrouped>
void all_outputs(const DepthwiseRows& r) {
  constexpr int kWide = 7, kNarrow = 3;
  int64_t o = 0;
  for (; o + kWide <= r.out_width; o += kWide)
    outputs<Shape<kKernel, kStride, kWide, kRows>, kGrouped>(r, o);
  if (r.out_width - o > kNarrow && r.out_width >= kWide)
    return outputs<Shape<kKernel, kStride, kWide, kRows>, kGrouped>(r, r.out_width - kWide);
  for (; o + kNarrow <= r.out_width; o += kNarrow)
    outputs<Shape<kKernel, kStride, kNarrow, kRows>, kGrouped>(r, o);
  for (; o < r.out_width; ++o) outputs<Shape<kKernel, kStride, 1, kRows>, kGrouped>(r, o);
}

template <int kKernel, int kStride, bool kGrouped = false>
void depthwise_row(const DepthwiseRows& r) {
  return r.count == 1 ? all_outputs<kKernel, kStride, 1, kGrouped>(r)
                      : all_outputs<kKernel, kStride, kMostRows, kGrouped>(r);
}

DepthwiseFn find_depthwise(int64_t kernel, int64_t stride) {
  if (kernel == 3 && stride == 1) return depthwise_row<3, 1>;
  if (kernel == 3 && stride == 2) return depthwise_row<3, 2>;
  if (kernel == 5 && stride == 1) return depthwise_row<5, 1>;
  if (kernel == 5 && stride == 2) return depthwise_row<5, 2>;
  if (kernel == 7 && stride == 1) return depthwise_row<7, 1>;
  return nullptr;
}

DepthwiseFn find_grouped(int64_t kernel, int64_t stride, int64_t depth) {
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  if (kernel != 3 || depth >= lanes || lanes % depth != 0) return nullptr;
  if (stride == 1) return depthwise_row<3, 1, true>;
  return stride == 2 ? depthwise_row<3, 2, true> : nullptr;
}

size_t count_lanes() { return hn::Lanes(d); }
int count_rows() { return kMostRows; }

}  // namespace treadle::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace treadle::cpu {

DepthwiseFn depthwise_function(int64_t kernel, int64_t stride, int64_t depth) {
  return depth == 1 ? TREADLE_DISPATCH(find_depthwise)(kernel, stride)
                    : TREADLE_DISPATCH(find_grouped)(kernel, stride, depth);
}

size_t depthwise_lanes() { return TREADLE_DISPATCH(count_lanes)(); }

int depthwise_rows() { return TREADLE_DISPATCH(count_rows)(); }

}  // namespace treadle::cpu
#endif

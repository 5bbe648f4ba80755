#include "backends/cpu/simd/quantized_depthwise.h"

#include <cmath>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/simd/quantized_depthwise.cc"
#include <hwy/foreach_target.h>

#include "backends/cpu/simd/math.h"
#include "backends/cpu/simd/quads.h"
#include "backends/cpu/simd/simd.h"

HWY_BEFORE_NAMESPACE();
namespace treadle::cpu::HWY_NAMESPACE {

// Input columns that a block of kBlock outputs reads.
template <int kKernel, int kStride, int kBlock>
constexpr int kSpan = (kBlock - 1) * kStride + kKernel;

#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3

// Channels of the largest vector.
constexpr size_t kLargest = HWY_TARGET == HWY_AVX3 ? 64 : 32;

// A vector of channels of one output row.
struct Part {
  const QuantizedDepthwiseRow& r;
  size_t c;   // the first
  size_t at;  // among the packed
};

// Pairs of quarters of the channels lie in the lower and in the upper halves of vectors' parts of
// 16 bytes.
template <int kHalf, class D, class V>
HWY_INLINE V interleave(D d, V a, V b) {
  return kHalf == 0 ? hn::InterleaveLower(d, a, b) : hn::InterleaveUpper(d, a, b);
}

// kBlock neighbouring outputs of half the channels of a vector, as integers of 16 bits: every input
// column is interleaved once for all the outputs that read it.
template <int kHalf, int kKernel, int kStride, int kBlock, class D, class Column>
HWY_INLINE void half_block(D d, const Part& p, const Column& column,
                           hn::Vec<hn::Repartition<int16_t, D>> (&out)[kBlock]) {
  const hn::Repartition<uint16_t, D> d16;
  const hn::Repartition<int32_t, D> d32;
  const hn::Repartition<float, D> df;
  const size_t lanes = hn::MaxLanes(d32), at = p.at + 2 * kHalf * lanes;
  constexpr size_t kSize = Quads<D>::kWidth * hn::MaxLanes(d);  // of a quarter's weights
  const std::byte* weights = p.r.weights + p.at * quads_of(kKernel) * kQuad * Quads<D>::kWidth;
  Sums<D> sums[kBlock][2];
#pragma GCC unroll 16
  for (int o = 0; o < kBlock; ++o) {
    sums[o][0] = hn::LoadU(d32, p.r.starts + at);
    sums[o][1] = hn::LoadU(d32, p.r.starts + at + lanes);
  }
#pragma GCC unroll 2
  for (int row = 0; row < kKernel; row += static_cast<int>(kQuad)) {
    Quads<D> w[kKernel][2];
#pragma GCC unroll 8
    for (int k = 0; k < kKernel; ++k, weights += 4 * kSize) {
      w[k][0] = Quads<D>::load(weights + 2 * kHalf * kSize);
      w[k][1] = Quads<D>::load(weights + (2 * kHalf + 1) * kSize);
    }
#pragma GCC unroll 32
    for (int i = 0; i < kSpan<kKernel, kStride, kBlock>; ++i) {
      const auto load = [&](int j) HWY_ATTR {
        return row + j < kKernel ? hn::LoadU(d, column(row + j, i) + p.c) : hn::Zero(d);
      };
      auto a = interleave<kHalf>(d, load(0), load(1)), b = interleave<kHalf>(d, load(2), load(3));
      if (p.r.flip != 0) {
        const auto flip = hn::Set(d, p.r.flip);
        a = hn::Xor(a, flip), b = hn::Xor(b, flip);
      }
      const auto ab = hn::BitCast(d16, a), cd = hn::BitCast(d16, b);
      const auto x0 = Quads<D>::of(hn::BitCast(d, hn::InterleaveLower(d16, ab, cd)));
      const auto x1 = Quads<D>::of(hn::BitCast(d, hn::InterleaveUpper(d16, ab, cd)));
#pragma GCC unroll 16
      for (int o = 0; o < kBlock; ++o) {
        const int k = i - o * kStride;
        if (k < 0 || k >= kKernel) continue;
        sums[o][0] = x0.add_product(w[k][0], sums[o][0]);
        sums[o][1] = x1.add_product(w[k][1], sums[o][1]);
      }
    }
  }
  const hn::Repartition<int16_t, D> di16;
  const auto zero_point = hn::Set(di16, p.r.zero_point);
#pragma GCC unroll 16
  for (int o = 0; o < kBlock; ++o) {
    const auto rounded = [&](Sums<D> sum, size_t from) HWY_ATTR {
      const auto y = hn::MulAdd(hn::ConvertTo(df, sum), hn::LoadU(df, p.r.scales + from),
                                hn::LoadU(df, p.r.biases + from));
      return to_integers(y);
    };
    const auto y =
        hn::ReorderDemote2To(di16, rounded(sums[o][0], at), rounded(sums[o][1], at + lanes));
    out[o] = hn::SaturatedAdd(y, zero_point);
  }
}

template <int kKernel, int kStride, int kBlock, class D, class Column>
HWY_INLINE void block(D d, const Part& p, uint8_t* out, const Column& column) {
  hn::Vec<hn::Repartition<int16_t, D>> lower[kBlock], upper[kBlock];
  half_block<0, kKernel, kStride, kBlock>(d, p, column, lower);
  half_block<1, kKernel, kStride, kBlock>(d, p, column, upper);
  const auto flip = hn::Set(d, p.r.flip_out);
#pragma GCC unroll 16
  for (int o = 0; o < kBlock; ++o) {
    const auto bytes = hn::BitCast(d, to_bytes(lower[o], upper[o]));
    hn::StoreU(hn::Xor(bytes, flip), d, out + static_cast<size_t>(o) * p.r.channels + p.c);
  }
}

template <int kKernel, int kStride, int kBlock, class Column>
HWY_INLINE void all_channels(const QuantizedDepthwiseRow& r, uint8_t* out, const Column& column) {
  const ChannelBlocks blocks{kLargest, false};
  for (size_t at = 0, size; at < r.channels; at += size) {
    size = blocks.size(r.channels, at);
    const Part part{r, at + size <= r.channels ? at : r.channels - size, at};
    if (size == kLargest) {
      block<kKernel, kStride, kBlock>(hn::FixedTag<uint8_t, kLargest>(), part, out, column);
    } else if (size == 32) {
      block<kKernel, kStride, kBlock>(hn::FixedTag<uint8_t, 32>(), part, out, column);
    } else {
      block<kKernel, kStride, kBlock>(hn::FixedTag<uint8_t, 16>(), part, out, column);
    }
  }
}

constexpr int kWide = HWY_TARGET == HWY_AVX3 ? 7 : 4;

#else  // no vectors

template <int kKernel, int kStride, int kBlock, class Column>
void all_channels(const QuantizedDepthwiseRow& r, uint8_t* out, const Column& column) {
  constexpr size_t kSize = ChannelBlocks::kSmallest;
  for (size_t at = 0; at < r.channels; at += kSize) {
    const size_t first = at + kSize <= r.channels ? at : r.channels - kSize;
    for (size_t i = 0; i < kSize; ++i) {
      const size_t c = first + ChannelBlocks::channel(kSize, i);
      const auto* weights =
          reinterpret_cast<const int8_t*>(r.weights) + (at * quads_of(kKernel) + i) * kQuad;
      int32_t sum = r.starts[at + i];
      for (int row = 0; row < kKernel; row += static_cast<int>(kQuad)) {
        for (int k = 0; k < kKernel; ++k, weights += kSize * kQuad) {
          for (int j = 0; j < static_cast<int>(kQuad) && row + j < kKernel; ++j)
            sum += (column(row + j, k)[c] ^ r.flip) * weights[j];
        }
      }
      const float y = static_cast<float>(sum) * r.scales[at + i] + r.biases[at + i];
      const float whole = std::nearbyint(y) + r.zero_point;
      const auto byte = static_cast<int8_t>(whole < -128 ? -128 : whole > 127 ? 127 : whole);
      out[c] = static_cast<uint8_t>(byte) ^ r.flip_out;
    }
  }
}

constexpr int kWide = 1;

#endif

template <int kKernel, int kStride, int kBlock>
HWY_NOINLINE void outputs(const QuantizedDepthwiseRow& r, int64_t first_output) {
  constexpr int kColumns = kSpan<kKernel, kStride, kBlock>;
  uint8_t* out = r.out + static_cast<size_t>(first_output) * r.channels;
  const int64_t first = first_output * kStride - r.pad;
  const uint8_t* columns[kKernel][kColumns];
  const bool inside = first >= 0 && first + kColumns <= r.width;
  for (int row = 0; row < kKernel; ++row) {
    const uint8_t* from = r.rows[row];
    for (int i = 0; i < kColumns; ++i) {
      const int64_t x = first + i;
      const bool has = inside || (x >= 0 && x < r.width);
      columns[row][i] =
          from != nullptr && has ? from + static_cast<size_t>(x) * r.channels : r.zeros;
    }
  }
  all_channels<kKernel, kStride, kBlock>(r, out,
                                         [&](int row, int i) HWY_ATTR { return columns[row][i]; });
}

// Blocks of kWide outputs (the usual widths are multiples of 7); the last one overlaps the one
// before it, where that is less work than its outputs one by one.
template <int kKernel, int kStride>
void depthwise_row(const QuantizedDepthwiseRow& r) {
  int64_t o = 0;
  for (; o + kWide <= r.out_width; o += kWide) outputs<kKernel, kStride, kWide>(r, o);
  if (r.out_width - o > kWide / 3 && r.out_width >= kWide)
    return outputs<kKernel, kStride, kWide>(r, r.out_width - kWide);
  for (; o < r.out_width; ++o) outputs<kKernel, kStride, 1>(r, o);
}

QuantizedDepthwiseFn find_function(int64_t kernel, int64_t stride) {
  if (kernel == 3 && stride == 1) return depthwise_row<3, 1>;
  if (kernel == 3 && stride == 2) return depthwise_row<3, 2>;
  if (kernel == 5 && stride == 1) return depthwise_row<5, 1>;
  if (kernel == 5 && stride == 2) return depthwise_row<5, 2>;
  if (kernel == 7 && stride == 1) return depthwise_row<7, 1>;
  return nullptr;
}

ChannelBlocks find_blocks() {
#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3
  return {kLargest, HWY_TARGET == HWY_AVX2};
#else
  return {ChannelBlocks::kSmallest, false};
#endif
}

}  // namespace treadle::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace treadle::cpu {

ChannelBlocks quantized_depthwise_blocks() { return TREADLE_DISPATCH_BYTES(find_blocks)(); }

QuantizedDepthwiseFn quantized_depthwise_function(int64_t kernel, int64_t stride) {
  return TREADLE_DISPATCH_BYTES(find_function)(kernel, stride);
}

}  // namespace treadle::cpu
#endif

#include "backends/cpu/simd/quantized_depthwise.h"

#include <cmath>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/simd/quantized_depthwise.cc"
#include <hwy/foreach_target.h>

#include "backends/cpu/simd/math.h"
#include "backends/cpu/simd/simd.h"

HWY_BEFORE_NAMESPACE();
namespace treadle::cpu::HWY_NAMESPACE {

// Input columns that a block of kBlock outputs reads.
template <int kKernel, int kStride, int kBlock>
constexpr int kSpan = (kBlock - 1) * kStride + kKernel;

#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3

// What Highway 1.0 lacks.
#if HWY_TARGET == HWY_AVX3
HWY_INLINE hn::Vec512<int8_t> to_bytes(hn::Vec512<int16_t> a, hn::Vec512<int16_t> b) {
  return hn::Vec512<int8_t>{_mm512_packs_epi16(a.raw, b.raw)};
}
HWY_INLINE hn::Vec512<int32_t> to_integers(hn::Vec512<float> x) {
  return hn::Vec512<int32_t>{_mm512_cvtps_epi32(x.raw)};
}
#endif
HWY_INLINE hn::Vec256<int8_t> to_bytes(hn::Vec256<int16_t> a, hn::Vec256<int16_t> b) {
  return hn::Vec256<int8_t>{_mm256_packs_epi16(a.raw, b.raw)};
}
HWY_INLINE hn::Vec256<int32_t> to_integers(hn::Vec256<float> x) {
  return hn::Vec256<int32_t>{_mm256_cvtps_epi32(x.raw)};
}

using Smallest = hn::FixedTag<uint8_t, ChannelBlocks::kSmallest>;
template <class D>
using Sums = hn::Vec<hn::Repartition<int32_t, D>>;

// Four bytes of each channel, or the weights for them. By VNNI.
template <class D>
struct ByteQuads {
  static constexpr size_t kLargest = HWY_MAX_BYTES;  // channels
  static constexpr size_t kWidth = 1;                // bytes a weight
  hn::Vec<D> bytes;

  static HWY_INLINE ByteQuads of(hn::Vec<D> x) { return {x}; }
  static HWY_INLINE ByteQuads load(const std::byte* weights) {
    return {hn::LoadU(D(), reinterpret_cast<const uint8_t*>(weights))};
  }
  // sum + this * weights. As assembly since the functions around it are compiled without VNNI.
  HWY_INLINE Sums<D> add_product(const ByteQuads& weights, Sums<D> sum) const {
    asm("vpdpbusd %2, %1, %0" : "+v"(sum.raw) : "v"(bytes.raw), "v"(weights.bytes.raw));
    return sum;
  }
};

// The same as pairs of integers of 16 bits.
template <class D>
struct PairQuads {
  using D16 = hn::Repartition<int16_t, D>;
  static constexpr size_t kLargest = 32;
  static constexpr size_t kWidth = 2;
  hn::Vec<D16> even, odd;

  static HWY_INLINE PairQuads of(hn::Vec<D> x) {
    const hn::Repartition<uint16_t, D> d16;
    const auto both = hn::BitCast(d16, x);
    return {hn::BitCast(D16(), hn::And(both, hn::Set(d16, 255))),
            hn::BitCast(D16(), hn::ShiftRight<8>(both))};
  }
  static HWY_INLINE PairQuads load(const std::byte* weights) {
    const auto* from = reinterpret_cast<const int16_t*>(weights);
    return {hn::LoadU(D16(), from), hn::LoadU(D16(), from + hn::MaxLanes(D16()))};
  }
  HWY_INLINE Sums<D> add_product(const PairQuads& weights, Sums<D> sum) const {
    const hn::Repartition<int32_t, D> d32;
    Sums<D> none = hn::Zero(d32);  // on x86 the first takes all
    sum = hn::ReorderWidenMulAccumulate(d32, even, weights.even, sum, none);
    return hn::ReorderWidenMulAccumulate(d32, odd, weights.odd, sum, none);
  }
};

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
template <template <class> class Quads, int kHalf, int kKernel, int kStride, int kBlock, class D,
          class Column>
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

template <template <class> class Quads, int kKernel, int kStride, int kBlock, class D, class Column>
HWY_INLINE void block(D d, const Part& p, uint8_t* out, const Column& column) {
  hn::Vec<hn::Repartition<int16_t, D>> lower[kBlock], upper[kBlock];
  half_block<Quads, 0, kKernel, kStride, kBlock>(d, p, column, lower);
  half_block<Quads, 1, kKernel, kStride, kBlock>(d, p, column, upper);
  const auto flip = hn::Set(d, p.r.flip_out);
#pragma GCC unroll 16
  for (int o = 0; o < kBlock; ++o) {
    const auto bytes = hn::BitCast(d, to_bytes(lower[o], upper[o]));
    hn::StoreU(hn::Xor(bytes, flip), d, out + static_cast<size_t>(o) * p.r.channels + p.c);
  }
}

template <template <class> class Quads, int kKernel, int kStride, int kBlock, class Column>
HWY_INLINE void all_channels(const QuantizedDepthwiseRow& r, uint8_t* out, const Column& column) {
  constexpr size_t kLargest = Quads<Smallest>::kLargest;
  const ChannelBlocks blocks{kLargest, false};
  for (size_t at = 0, size; at < r.channels; at += size) {
    size = blocks.size(r.channels - at);
    const Part part{r, at + size <= r.channels ? at : r.channels - size, at};
    if (size == kLargest) {
      block<Quads, kKernel, kStride, kBlock>(hn::FixedTag<uint8_t, kLargest>(), part, out, column);
    } else {
      block<Quads, kKernel, kStride, kBlock>(Smallest(), part, out, column);
    }
  }
}

constexpr int kWide = HWY_TARGET == HWY_AVX3 ? 7 : 4;

#else  // no vectors

template <class D>
struct ByteQuads {};

template <template <class> class, int kKernel, int kStride, int kBlock, class Column>
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

template <template <class> class Quads, int kKernel, int kStride, int kBlock>
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
  all_channels<Quads, kKernel, kStride, kBlock>(
      r, out, [&](int row, int i) HWY_ATTR { return columns[row][i]; });
}

// Blocks of kWide outputs (the usual widths are multiples of 7); the last one overlaps the one
// before it, where that is less work than its outputs one by one.
template <template <class> class Quads, int kKernel, int kStride>
void depthwise_row(const QuantizedDepthwiseRow& r) {
  int64_t o = 0;
  for (; o + kWide <= r.out_width; o += kWide) outputs<Quads, kKernel, kStride, kWide>(r, o);
  if (r.out_width - o > kWide / 3 && r.out_width >= kWide)
    return outputs<Quads, kKernel, kStride, kWide>(r, r.out_width - kWide);
  for (; o < r.out_width; ++o) outputs<Quads, kKernel, kStride, 1>(r, o);
}

template <template <class> class Quads>
QuantizedDepthwiseFn find(int64_t kernel, int64_t stride) {
  if (kernel == 3 && stride == 1) return depthwise_row<Quads, 3, 1>;
  if (kernel == 3 && stride == 2) return depthwise_row<Quads, 3, 2>;
  if (kernel == 5 && stride == 1) return depthwise_row<Quads, 5, 1>;
  if (kernel == 5 && stride == 2) return depthwise_row<Quads, 5, 2>;
  return nullptr;
}

ChannelBlocks find_blocks(bool vnni) {
#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3
  return {vnni ? ByteQuads<Smallest>::kLargest : PairQuads<Smallest>::kLargest, !vnni};
#else
  (void)vnni;
  return {ChannelBlocks::kSmallest, false};
#endif
}

QuantizedDepthwiseFn find_function(int64_t kernel, int64_t stride, bool vnni) {
#if HWY_TARGET == HWY_AVX2
  (void)vnni;
  return find<PairQuads>(kernel, stride);
#elif HWY_TARGET == HWY_AVX3
  return vnni ? find<ByteQuads>(kernel, stride) : find<PairQuads>(kernel, stride);
#else
  (void)vnni;
  return find<ByteQuads>(kernel, stride);
#endif
}

}  // namespace treadle::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace treadle::cpu {

ChannelBlocks quantized_depthwise_blocks() {
  return TREADLE_DISPATCH(find_blocks)(simd_has_vnni());
}

QuantizedDepthwiseFn quantized_depthwise_function(int64_t kernel, int64_t stride) {
  return TREADLE_DISPATCH(find_function)(kernel, stride, simd_has_vnni());
}

}  // namespace treadle::cpu
#endif

// What becomes of sums of products of bytes, for the instruction set being compiled. Included by
// simd/*.cc only, after hwy/foreach_target.h.
#include <array>
#include <cstring>

#include "backends/cpu/simd/byte_product.h"

#if defined(TREADLE_CPU_SIMD_BYTE_STORE_H) == defined(HWY_TARGET_TOGGLE)
#ifdef TREADLE_CPU_SIMD_BYTE_STORE_H
#undef TREADLE_CPU_SIMD_BYTE_STORE_H
#else
#define TREADLE_CPU_SIMD_BYTE_STORE_H
#endif

#include "backends/cpu/simd/math.h"
#include "backends/cpu/simd/quads.h"

#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3
HWY_BEFORE_NAMESPACE();
namespace treadle::cpu::HWY_NAMESPACE {

using D = hn::ScalableTag<uint8_t>;
using D32 = hn::Repartition<int32_t, D>;
using DF = hn::Repartition<float, D>;
using V32 = hn::Vec<D32>;
using VF = hn::Vec<DF>;
constexpr D d;
constexpr D32 d32;
constexpr hn::Repartition<int16_t, D> d16;
constexpr DF df;
constexpr size_t kLanes = hn::MaxLanes(d32);

template <size_t kRowsNow, size_t kVectorsNow>
using Tile = V32[kRowsNow][kVectorsNow];

// Where a tile's results go: those of a tile whose last vector is not full, to a copy.
struct Place {
  size_t column;  // of what belongs to columns
  void* y;
  const uint8_t* plus;
  size_t stride;
};

enum class Mode : uint8_t { kFloats, kBytes, kSums };
constexpr size_t kModes = 3;
HWY_INLINE Mode mode_of(const ByteBlock& g) {
  if (g.levels == nullptr) return Mode::kFloats;
  return g.levels->plus == nullptr ? Mode::kBytes : Mode::kSums;
}

HWY_INLINE size_t element_bytes(Mode mode) { return mode == Mode::kFloats ? sizeof(float) : 1; }
HWY_INLINE Place place_of(const ByteBlock& g, Mode mode, size_t row, size_t column) {
  const size_t at = row * g.y_stride + column;
  return {column, static_cast<std::byte*>(g.y) + at * element_bytes(mode),
          mode == Mode::kSums ? g.levels->plus + at : nullptr, g.y_stride};
}

// The rows and the columns of a tile.
struct Area {
  size_t row, rows, column, columns;
};

// f(where results of kWhole columns go).
template <size_t kMostRows, size_t kWhole, class F>
HWY_INLINE void with_place(const ByteBlock& g, Mode mode, const Area& area, const F& f) {
  const Place place = place_of(g, mode, area.row, area.column);
  if (area.columns == kWhole) return f(place);
  const size_t size = element_bytes(mode);
  alignas(64) std::byte results[kMostRows * kWhole * sizeof(float)];
  alignas(64) uint8_t others[kMostRows * kWhole];
  for (size_t r = 0; place.plus != nullptr && r < area.rows; ++r)
    std::memcpy(others + r * kWhole, place.plus + r * g.y_stride, area.columns);
  f(Place{area.column, results, place.plus == nullptr ? nullptr : others, kWhole});
  for (size_t r = 0; r < area.rows; ++r) {
    std::memcpy(static_cast<std::byte*>(place.y) + r * g.y_stride * size,
                results + r * kWhole * size, area.columns * size);
  }
}

// vector(at) for all bytes, the last ones perhaps twice; byte(at) where there is no whole vector.
template <class D8, class F, class G>
HWY_INLINE void copy_pieces(D8 d8, size_t bytes, const F& vector, const G& byte) {
  const size_t lanes = hn::Lanes(d8);
  size_t i = 0;
  for (; i + lanes <= bytes; i += lanes) vector(i);
  if (i < bytes && i > 0) return vector(bytes - lanes);
  for (; i < bytes; ++i) byte(i);
}

template <size_t kVectorsNow>
using Row = VF[kVectorsNow];

// Floats of this size are whole: a small one added to it is rounded, halves to the even.
constexpr float kRound = 3 << 22;

constexpr hn::Rebind<uint8_t, D32> quarter;

// Vectors that are packed come to lie in parts of 4 bytes, one from each: their order in a row.
constexpr std::array<int32_t, kLanes> order_of_parts() {
  std::array<int32_t, kLanes> order{};
  for (size_t i = 0; i < kLanes; ++i)
    order[i] = static_cast<int32_t>(i % (kLanes / 4) * 4 + i / (kLanes / 4));
  return order;
}
alignas(64) constexpr std::array<int32_t, kLanes> kOrder = order_of_parts();

// Levels around zero, as int8 or with `flip` as uint8; and the numbers that bytes are.
struct Bytes {
  int16_t zero;
  uint8_t flip;

  template <size_t kVectorsNow>
  HWY_INLINE void store_row(const Row<kVectorsNow>& levels, uint8_t* to) const {
    const auto pair = [&](size_t v) HWY_ATTR {
      const auto both =
          hn::ReorderDemote2To(d16, to_integers(levels[v]), to_integers(levels[v + 1]));
      return hn::SaturatedAdd(both, hn::Set(d16, zero));
    };
    if constexpr (kVectorsNow == 1) {
      const hn::Rebind<int8_t, D32> narrow;
      const auto level = hn::Add(to_integers(levels[0]), hn::Set(d32, zero));
      const auto bytes = hn::BitCast(quarter, hn::DemoteTo(narrow, level));
      hn::StoreU(hn::Xor(bytes, hn::Set(quarter, flip)), quarter, to);
    } else {
      const auto mixed = hn::BitCast(d32, to_bytes(pair(0), pair(kVectorsNow - 2)));
      const auto ordered = hn::TableLookupLanes(mixed, hn::SetTableIndices(d32, kOrder.data()));
      const auto bytes = hn::Xor(hn::BitCast(d, ordered), hn::Set(d, flip));
      if constexpr (kVectorsNow == 4) {
        hn::StoreU(bytes, d, to);
      } else {
        const hn::Half<D> half;
        hn::StoreU(hn::LowerHalf(half, bytes), half, to);
      }
    }
  }
  HWY_INLINE VF load(const uint8_t* from) const {
    const hn::Rebind<int8_t, D32> narrow;
    const auto bytes = hn::BitCast(narrow, hn::LoadU(quarter, from));
    const auto kept = hn::Set(d32, flip == 0 ? -1 : UINT8_MAX);
    return hn::ConvertTo(df, hn::And(hn::PromoteTo(d32, bytes), kept));
  }
};

// f(where a row begins, the row as floats).
template <size_t kRowsNow, size_t kVectorsNow, class F>
HWY_INLINE void for_each_row(const ByteBlock& g, const Place& at,
                             const Tile<kRowsNow, kVectorsNow>& sums, const F& f) {
  const float* scales = g.scales + at.column;
  const float* biases = g.biases + at.column;
  Row<kVectorsNow> scale, bias;
#pragma GCC unroll 4
  for (size_t v = 0; v < kVectorsNow; ++v) {
    scale[v] = hn::LoadU(df, scales + v * kLanes);
    bias[v] = hn::LoadU(df, biases + v * kLanes);
  }
#pragma GCC unroll 8
  for (size_t r = 0; r < kRowsNow; ++r) {
    Row<kVectorsNow> row;
#pragma GCC unroll 4
    for (size_t v = 0; v < kVectorsNow; ++v)
      row[v] = hn::MulAdd(hn::ConvertTo(df, sums[r][v]), scale[v], bias[v]);
    f(r * at.stride, row);
  }
}

template <Mode kMode, size_t kRowsNow, size_t kVectorsNow>
HWY_INLINE void store(const ByteBlock& g, const Place& at,
                      const Tile<kRowsNow, kVectorsNow>& sums) {
  if constexpr (kMode == Mode::kFloats) {
    auto* y = static_cast<float*>(at.y);
    for_each_row<kRowsNow, kVectorsNow>(g, at, sums,
                                        [&](size_t to, Row<kVectorsNow>& row) HWY_ATTR {
#pragma GCC unroll 4
                                          for (size_t v = 0; v < kVectorsNow; ++v)
                                            hn::StoreU(row[v], df, y + to + v * kLanes);
                                        });
  } else {
    const ByteLevels& l = *g.levels;
    auto* y = static_cast<uint8_t*>(at.y);
    const Bytes bytes{l.zero, l.flip};
    const VF low = hn::Set(df, l.low), high = hn::Set(df, l.high), factor = hn::Set(df, l.factor);
    const VF plus_factor = hn::Set(df, l.plus_factor), term = hn::Set(df, l.term);
    const VF round = hn::Set(df, kRound), unround = hn::Set(df, kRound - l.product_zero);
    for_each_row<kRowsNow, kVectorsNow>(
        g, at, sums, [&](size_t to, Row<kVectorsNow>& row) HWY_ATTR {
#pragma GCC unroll 4
          for (size_t v = 0; kMode == Mode::kSums && v < kVectorsNow; ++v) {
            const VF bounded = hn::Min(hn::Max(row[v], low), high);
            const VF level = hn::Sub(hn::Add(bounded, round), unround);
            const VF other = hn::MulAdd(bytes.load(at.plus + to + v * kLanes), plus_factor, term);
            row[v] = hn::MulAdd(level, factor, other);
          }
          bytes.store_row<kVectorsNow>(row, y + to);
        });
  }
}

}  // namespace treadle::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
#endif

#include "backends/cpu/simd/float_tiles.h"

#include <algorithm>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/simd/float_tiles.cc"
#include <hwy/foreach_target.h>

#include "backends/cpu/simd/math.h"
#include "backends/cpu/simd/simd.h"
#include "backends/cpu/simd/tiles.h"

HWY_BEFORE_NAMESPACE();
namespace treadle::cpu::HWY_NAMESPACE {
namespace {

#if HWY_TARGET == HWY_AVX3

using DF = hn::ScalableTag<float>;
using VF = hn::Vec<DF>;
constexpr DF df;
constexpr hn::Repartition<uint32_t, DF> du32;
constexpr hn::Rebind<uint16_t, DF> du16;
constexpr size_t kLanes = hn::MaxLanes(df);
constexpr size_t kVectors = kTileColumns / kLanes;
constexpr size_t kRows = 2 * tiles::kRows;
constexpr size_t kStep = kTileColumns * sizeof(float);  // of sums and of weights
constexpr size_t kFewRows = 4;                          // that are stored after a step
static_assert(kVectors == 2 && kTileOutputs == tiles::kRows);

// Rounded to bfloat16, and what is left of it, so too. Nothing is left of what is not finite.
struct Halves {
  hn::Vec256<uint16_t> high, low;
};
HWY_INLINE hn::Vec256<uint16_t> to_bfloat16(VF x) {
  __m256i narrow;
  asm("vcvtneps2bf16 %1, %0" : "=v"(narrow) : "v"(x.raw));
  return hn::Vec256<uint16_t>{narrow};
}
HWY_INLINE Halves halves_of(VF x) {
  const hn::Vec256<uint16_t> high = to_bfloat16(x);
  const VF wide = hn::BitCast(df, hn::ShiftLeft<16>(hn::PromoteTo(du32, high)));
  const VF left = hn::IfThenElseZero(hn::IsFinite(wide), hn::Sub(x, wide));
  return {high, to_bfloat16(left)};
}

void split(const SplitFloats& job) {
  size_t i = 0;
  for (; i + kLanes <= job.count; i += kLanes) {
    const Halves h = halves_of(hn::LoadU(df, job.from + i));
    hn::StoreU(h.high, du16, job.high + i);
    hn::StoreU(h.low, du16, job.low + i);
  }
  if (i == job.count) return;
  const size_t left = job.count - i;
  const Halves h = halves_of(load_part(df, job.from + i, left));
  hn::BlendedStore(h.high, hn::FirstN(du16, left), du16, job.high + i);
  hn::BlendedStore(h.low, hn::FirstN(du16, left), du16, job.low + i);
}

void split_weights(const SplitWeights& job) {
  auto* high = reinterpret_cast<uint32_t*>(job.to);
  uint32_t* low = high + job.pairs * kTileColumns;
  const auto pair = [](hn::Vec256<uint16_t> even, hn::Vec256<uint16_t> odd) HWY_ATTR {
    return hn::Or(hn::PromoteTo(du32, even), hn::ShiftLeft<16>(hn::PromoteTo(du32, odd)));
  };
  for (size_t p = 0; p < job.pairs; ++p) {
    const float* even = job.rows[2 * p];
    const float* odd = job.rows[2 * p + 1];
    for (size_t c = 0; c < kTileColumns; c += kLanes) {
      const Halves a = halves_of(even == nullptr ? hn::Zero(df) : hn::LoadU(df, even + c));
      const Halves b = halves_of(odd == nullptr ? hn::Zero(df) : hn::LoadU(df, odd + c));
      hn::StoreU(pair(a.high, b.high), du32, high + p * kTileColumns + c);
      hn::StoreU(pair(a.low, b.low), du32, low + p * kTileColumns + c);
    }
  }
}

// Sums that are left to be stored: of which rows, in which columns.
struct Results {
  size_t rows = 0;
  const int32_t* outputs = nullptr;
  const float* sums = nullptr;
  size_t column = 0;
  hn::Mask<DF> columns[kVectors] = {};
};

HWY_INLINE void store_row(const FloatTiles& g, const Results& r, size_t row) {
  if (r.outputs[row] < 0) return;
  const size_t at = static_cast<size_t>(r.outputs[row]) * g.y_stride + r.column;
#pragma GCC unroll 2
  for (size_t v = 0; v < kVectors; ++v) {
    const hn::Mask<DF> mask = r.columns[v];
    VF y = hn::Load(df, r.sums + row * kTileColumns + v * kLanes);
    if (g.bias != nullptr) y = hn::Add(y, hn::MaskedLoad(mask, df, g.bias + r.column + v * kLanes));
    if (g.plus != nullptr) y = hn::Add(y, hn::MaskedLoad(mask, df, g.plus + at + v * kLanes));
    y = min_of(max_of(y, hn::Set(df, g.low)), hn::Set(df, g.high));
    hn::BlendedStore(y, mask, df, g.y + at + v * kLanes);
  }
}
HWY_INLINE void store_some(const FloatTiles& g, Results& r, size_t most) {
  const size_t rows = std::min(r.rows, most);
  for (size_t row = 0; row < rows; ++row) store_row(g, r, row);
  r.rows -= rows;
  r.outputs += rows;
  r.sums += rows * kTileColumns;
}

// Sums are tiles 0 to 3: two vectors of the upper rows, and of the lower.
constexpr int kUpper = 4, kLower = 5, kWeights = 6;

tiles::Shapes shapes_of(size_t numbers) {
  tiles::Shapes shapes;
  for (int tile = 0; tile < 8; ++tile) {
    const bool weights = tile >= kWeights, of_a = !weights && tile >= kUpper;
    shapes.rows[tile] = static_cast<uint8_t>(weights ? numbers / 2 : tiles::kRows);
    shapes.row_bytes[tile] =
        static_cast<uint16_t>(of_a ? numbers * sizeof(uint16_t) : tiles::kRowBytes);
  }
  return shapes;
}

template <bool kTwo>
HWY_INLINE void clear_sums() {
  tiles::clear<0>();
  tiles::clear<1>();
  if (kTwo) tiles::clear<2>();
  if (kTwo) tiles::clear<3>();
}

template <bool kTwo>
HWY_INLINE void keep_sums(float* to) {
  tiles::keep<0>(to, kStep);
  tiles::keep<1>(to + kLanes, kStep);
  float* lower = to + tiles::kRows * kTileColumns;
  if (kTwo) tiles::keep<2>(lower, kStep);
  if (kTwo) tiles::keep<3>(lower + kLanes, kStep);
}

// meanwhile() after each step: what does not need the tiles. Small products come first.
template <bool kTwo, class F>
HWY_INLINE void add_up(const FloatTiles& g, const uint16_t* upper, const uint16_t* lower,
                       const std::byte* weights, const F& meanwhile) {
  const size_t row_bytes = g.row_step * sizeof(uint16_t), part = g.numbers / 2 * kStep;
  clear_sums<kTwo>();
  for (size_t i = 0; i < g.step_count; ++i, weights += 2 * part) {
    const uint16_t* a = upper + g.steps[i];
    const uint16_t* b = lower + g.steps[i];
    tiles::load<kUpper>(a + g.low_part, row_bytes);
    tiles::load<kWeights>(weights, kStep);
    tiles::add_bfloat16<0, kUpper, kWeights>();
    tiles::load<kWeights + 1>(weights + tiles::kRowBytes, kStep);
    tiles::add_bfloat16<1, kUpper, kWeights + 1>();
    if constexpr (kTwo) {
      tiles::load<kLower>(b + g.low_part, row_bytes);
      tiles::add_bfloat16<2, kLower, kWeights>();
      tiles::add_bfloat16<3, kLower, kWeights + 1>();
    }
    tiles::load<kUpper>(a, row_bytes);
    tiles::add_bfloat16<0, kUpper, kWeights>();
    tiles::add_bfloat16<1, kUpper, kWeights + 1>();
    if constexpr (kTwo) {
      tiles::load<kLower>(b, row_bytes);
      tiles::add_bfloat16<2, kLower, kWeights>();
      tiles::add_bfloat16<3, kLower, kWeights + 1>();
    }
    meanwhile();
    tiles::load<kWeights>(weights + part, kStep);
    tiles::add_bfloat16<0, kUpper, kWeights>();
    if (kTwo) tiles::add_bfloat16<2, kLower, kWeights>();
    tiles::load<kWeights + 1>(weights + part + tiles::kRowBytes, kStep);
    tiles::add_bfloat16<1, kUpper, kWeights + 1>();
    if (kTwo) tiles::add_bfloat16<3, kLower, kWeights + 1>();
  }
}

// Two tiles of rows, or the last one alone, by a block of columns.
template <bool kTwo>
HWY_INLINE void multiply_area(const FloatTiles& g, size_t tile, const std::byte* weights,
                              float* sums, Results& left, tiles::Fetch& next) {
  const uint16_t* upper = g.a + (g.places[tile] - g.origin);
  const uint16_t* lower = kTwo ? g.a + (g.places[tile + 1] - g.origin) : upper;
  add_up<kTwo>(g, upper, lower, weights, [&]() HWY_ATTR {
    store_some(g, left, kFewRows);
    next.next_share();
  });
  store_some(g, left, kRows);
  keep_sums<kTwo>(sums);
}

// The sums of an area are stored while the next one's are added up.
void multiply(const FloatTiles& g) {
  alignas(64) float sums[2][kRows * kTileColumns];
  Results left;
  size_t turn = 0;
  const std::byte* weights = g.weights;
  tiles::configure(shapes_of(g.numbers));
  for (size_t column = 0; column < g.columns; column += kTileColumns) {
    const size_t columns = g.columns - column;
    tiles::Fetch next;
    if (columns > kTileColumns)
      next = {weights + g.block_bytes, g.step_count * g.numbers * kStep,
              g.step_count * ((g.tiles + 1) / 2)};
    for (size_t tile = 0; tile < g.tiles; tile += 2) {
      const bool two = tile + 1 < g.tiles;
      if (two) {
        multiply_area<true>(g, tile, weights, sums[turn], left, next);
      } else {
        multiply_area<false>(g, tile, weights, sums[turn], left, next);
      }
      left = {two ? kRows : tiles::kRows, g.outputs + tile * kTileOutputs, sums[turn], column};
      left.columns[0] = hn::FirstN(df, std::min(columns, kLanes));
      left.columns[1] = hn::FirstN(df, columns < kLanes ? 0 : std::min(columns - kLanes, kLanes));
      turn = 1 - turn;
    }
    weights += g.block_bytes;
  }
  tiles::release();
  store_some(g, left, kRows);
}

FloatTileFunctions functions() { return {split, split_weights, multiply}; }

#else

FloatTileFunctions functions() { return {}; }

#endif

}  // namespace
}  // namespace treadle::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace treadle::cpu {

FloatTileFunctions float_tile_functions() {
  if (chosen_target() != SimdTarget::kAvx512Amx) return {};
  return TREADLE_DISPATCH(functions)();
}

}  // namespace treadle::cpu
#endif

#include "backends/cpu/simd/float_tiles.h"

#include <algorithm>
#include <array>
#include <utility>

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
constexpr size_t kLanes = hn::MaxLanes(df);
constexpr size_t kVectors = kTileColumns / kLanes;
constexpr size_t kRows = 2 * tiles::kRows;
constexpr size_t kStep = kTileColumns * sizeof(float);  // of sums and of weights
constexpr size_t kFewRows = 4;                          // that are stored after a step
static_assert(kVectors == 2 && kTileOutputs == tiles::kRows);

constexpr size_t kParts = kTileParts;
// Floats a line ahead of those that are split are fetched: the next block's follow this one's.
constexpr size_t kAhead = 4096;

// The first 8 bits of each number as bfloat16 in a float, and what is left: exact. Three parts are
// all of it.
HWY_INLINE VF first_part(VF x) { return hn::And(x, hn::BitCast(df, hn::Set(du32, 0xFFFF0000U))); }

// Of numbers 0 to 15 and 16 to 31.
struct Numbers {
  VF low, high;

  HWY_INLINE hn::Vec512<uint16_t> next_part() {
    alignas(64) static constexpr std::array<uint16_t, kTileNumbers> kUpperHalves = [] {
      std::array<uint16_t, kTileNumbers> order{};
      for (size_t i = 0; i < kTileNumbers; ++i) order[i] = static_cast<uint16_t>(2 * i + 1);
      return order;
    }();
    const __m512i part = _mm512_permutex2var_epi16(_mm512_castps_si512(low.raw),
                                                   _mm512_load_si512(kUpperHalves.data()),
                                                   _mm512_castps_si512(high.raw));
    low = hn::Sub(low, first_part(low));
    high = hn::Sub(high, first_part(high));
    return hn::Vec512<uint16_t>{part};
  }
};

void split(const SplitFloats& job) {
  constexpr hn::Repartition<uint16_t, DF> d16;
  size_t i = 0;
  for (; i + kTileNumbers <= job.count; i += kTileNumbers) {
    Numbers x{hn::LoadU(df, job.from + i), hn::LoadU(df, job.from + i + kLanes)};
#pragma GCC unroll 3
    for (size_t p = 0; p < kParts; ++p)
      hn::StoreU(x.next_part(), d16, job.to + static_cast<ptrdiff_t>(p) * job.part_step + i);
  }
  if (i == job.count) return;
  const size_t left = job.count - i, low = std::min(left, kLanes);
  Numbers x{load_part(df, job.from + i, low), load_part(df, job.from + i + low, left - low)};
  const auto mask = hn::FirstN(d16, left);
  for (size_t p = 0; p < kParts; ++p)
    hn::BlendedStore(x.next_part(), mask, d16,
                     job.to + static_cast<ptrdiff_t>(p) * job.part_step + i);
}

// The weights of a block of columns become, for each step, [part][numbers / 2][column][2].
class PanelSplit {
 public:
  PanelSplit() = default;
  PanelSplit(const FloatTiles& g, const float* from, std::byte* to, size_t shares)
      : from_(from),
        to_(to),
        in_step_(g.numbers / 2),
        left_(g.step_count * in_step_),
        share_(1 + left_ / shares) {}

  HWY_INLINE void next_share() {
    for (size_t i = std::min(share_, left_); i > 0; --i) split_pair();
  }
  void all() {
    while (left_ > 0) split_pair();
  }

 private:
  HWY_INLINE void split_pair() {
    const size_t part_bytes = in_step_ * kStep;
#pragma GCC unroll 2
    for (size_t c = 0; c < kTileColumns; c += kLanes) {
      VF even = hn::LoadU(df, from_ + c), odd = hn::LoadU(df, from_ + kTileColumns + c);
      __builtin_prefetch(from_ + kAhead + c);
      __builtin_prefetch(from_ + kAhead + kTileColumns + c);
#pragma GCC unroll 3
      for (size_t p = 0; p < kParts; ++p) {
        const VF first = first_part(odd);
        const auto both =
            hn::Or(hn::ShiftRight<16>(hn::BitCast(du32, even)), hn::BitCast(du32, first));
        hn::StoreU(both, du32, reinterpret_cast<uint32_t*>(to_ + p * part_bytes) + c);
        even = hn::Sub(even, first_part(even));
        odd = hn::Sub(odd, first);
      }
    }
    from_ += 2 * kTileColumns;
    to_ += kStep;
    --left_;
    if (++at_ == in_step_) at_ = 0, to_ += (kParts - 1) * part_bytes;
  }

  const float* from_ = nullptr;
  std::byte* to_ = nullptr;
  size_t in_step_ = 0, at_ = 0;  // pairs of rows
  size_t left_ = 0, share_ = 0;
};

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

// What a step multiplies: parts of a, by parts of the weights.
struct StepPlace {
  const uint16_t* upper;
  const uint16_t* lower;
  const std::byte* weights;
  size_t part_step, part_bytes, row_bytes;  // numbers, bytes, bytes
};

template <bool kTwo>
HWY_INLINE void load_rows(const StepPlace& s, size_t part) {
  tiles::load<kUpper>(s.upper + part * s.part_step, s.row_bytes);
  if (kTwo) tiles::load<kLower>(s.lower + part * s.part_step, s.row_bytes);
}
HWY_INLINE void load_weights(const StepPlace& s, size_t part) {
  tiles::load<kWeights>(s.weights + part * s.part_bytes, kStep);
  tiles::load<kWeights + 1>(s.weights + part * s.part_bytes + tiles::kRowBytes, kStep);
}
template <bool kTwo>
HWY_INLINE void add_loaded() {
  tiles::add_bfloat16<0, kUpper, kWeights>();
  tiles::add_bfloat16<1, kUpper, kWeights + 1>();
  if (kTwo) tiles::add_bfloat16<2, kLower, kWeights>();
  if (kTwo) tiles::add_bfloat16<3, kLower, kWeights + 1>();
}

// Small products come first.
template <bool kTwo>
HWY_INLINE void add_step(const StepPlace& s) {
  load_weights(s, 0);
  for (size_t part = kParts; part-- > 0;) {
    load_rows<kTwo>(s, part);
    add_loaded<kTwo>();
  }
  load_weights(s, 2);
  add_loaded<kTwo>();
  load_weights(s, 1);
  add_loaded<kTwo>();
  load_rows<kTwo>(s, 1);
  add_loaded<kTwo>();
}

// Two tiles of rows, or the last one alone, by a block of columns. meanwhile() after each step:
// what does not need the tiles.
template <bool kTwo, class F>
HWY_INLINE void add_up(const FloatTiles& g, size_t tile, const std::byte* weights,
                       const F& meanwhile) {
  const uint16_t* upper = g.a + (g.places[tile] - g.origin);
  const uint16_t* lower = kTwo ? g.a + (g.places[tile + 1] - g.origin) : upper;
  StepPlace step{upper,
                 lower,
                 weights,
                 static_cast<size_t>(g.part_step),
                 g.numbers / 2 * kStep,
                 g.row_step * sizeof(uint16_t)};
  clear_sums<kTwo>();
  for (size_t i = 0; i < g.step_count; ++i) {
    step.upper = upper + g.steps[i];
    step.lower = lower + g.steps[i];
    add_step<kTwo>(step);
    meanwhile();
    step.weights += kParts * step.part_bytes;
  }
}

// The sums of an area are stored, and the weights of the next block are split, while the next sums
// are added up: that takes other units.
void multiply(const FloatTiles& g) {
  alignas(64) float sums[2][kRows * kTileColumns];
  Results left;
  size_t turn = 0;
  const size_t panel_bytes = kParts * g.step_count * g.numbers / 2 * kStep;
  const float* weights = g.weights;
  std::byte* panel = g.panels;
  std::byte* other = g.panels + panel_bytes;
  PanelSplit(g, weights, panel, 1).all();
  tiles::configure(shapes_of(g.numbers));
  for (size_t column = 0; column < g.columns; column += kTileColumns) {
    const size_t columns = g.columns - column;
    PanelSplit next;
    weights += g.block_step;
    if (columns > kTileColumns) next = {g, weights, other, g.step_count * ((g.tiles + 1) / 2)};
    const auto meanwhile = [&]() HWY_ATTR {
      store_some(g, left, kFewRows);
      next.next_share();
    };
    for (size_t tile = 0; tile < g.tiles; tile += 2) {
      const bool two = tile + 1 < g.tiles;
      if (two) {
        add_up<true>(g, tile, panel, meanwhile);
      } else {
        add_up<false>(g, tile, panel, meanwhile);
      }
      store_some(g, left, kRows);
      two ? keep_sums<true>(sums[turn]) : keep_sums<false>(sums[turn]);
      left = {two ? kRows : tiles::kRows, g.outputs + tile * kTileOutputs, sums[turn], column};
      left.columns[0] = hn::FirstN(df, std::min(columns, kLanes));
      left.columns[1] = hn::FirstN(df, columns < kLanes ? 0 : std::min(columns - kLanes, kLanes));
      turn = 1 - turn;
    }
    next.all();
    std::swap(panel, other);
  }
  tiles::release();
  store_some(g, left, kRows);
}

FloatTileFunctions functions() { return {split, multiply}; }

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

#include "backends/cpu/simd/byte_tiles.h"

#include <algorithm>
#include <cstring>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/simd/byte_tiles.cc"
#include <hwy/foreach_target.h>

#include "backends/cpu/simd/byte_store.h"
#include "backends/cpu/simd/math.h"
#include "backends/cpu/simd/simd.h"
#include "backends/cpu/simd/tiles.h"

HWY_BEFORE_NAMESPACE();
namespace treadle::cpu::HWY_NAMESPACE {
namespace {

#if HWY_TARGET == HWY_AVX3

constexpr size_t kTileRows = 16;
constexpr size_t kRows = 2 * kTileRows;
constexpr size_t kVectors = 2;
constexpr size_t kBlock = kVectors * kLanes;
constexpr size_t kVectorBytes = hn::MaxLanes(d);
constexpr size_t kFewRows = 4;  // that are stored after a step
constexpr size_t kSumsStep = kBlock * sizeof(int32_t);

// Sums are tiles 0 to 3: two vectors of the upper rows, and of the lower.
constexpr int kUpper = 4, kLower = 5, kWeights = 6;

tiles::Shapes shapes_of(size_t rows, size_t tile_bytes) {
  const auto upper = static_cast<uint8_t>(std::min(rows, (rows + 1) / 2));
  const auto lower = static_cast<uint8_t>(rows - upper);
  tiles::Shapes shapes;
  const auto shape = [&](int tile, uint8_t height, size_t bytes) {
    shapes.rows[tile] = height;
    shapes.row_bytes[tile] = static_cast<uint16_t>(height == 0 ? 0 : bytes);
  };
  shape(0, upper, kVectorBytes);
  shape(1, upper, kVectorBytes);
  shape(2, lower, kVectorBytes);
  shape(3, lower, kVectorBytes);
  shape(kUpper, upper, tile_bytes);
  shape(kLower, lower, tile_bytes);
  shape(kWeights, static_cast<uint8_t>(tile_bytes / ByteForm::kQuad), kVectorBytes);
  shape(kWeights + 1, static_cast<uint8_t>(tile_bytes / ByteForm::kQuad), kVectorBytes);
  return shapes;
}

// The sums of an area that are left to be stored, all its columns whole vectors.
struct Results {
  size_t rows = 0;
  const int32_t* sums = nullptr;
  Place at{};
};

template <Mode kMode, size_t kVectorsNow, size_t kRowsNow>
HWY_INLINE void store_rows(const ByteBlock& g, Results& left) {
  Tile<kRowsNow, kVectorsNow> tile;
#pragma GCC unroll 2
  for (size_t v = 0; v < kVectorsNow; ++v) {
    const V32 start = hn::LoadU(d32, g.starts + left.at.column + v * kLanes);
#pragma GCC unroll 8
    for (size_t r = 0; r < kRowsNow; ++r)
      tile[r][v] = hn::Add(hn::Load(d32, left.sums + r * kBlock + v * kLanes), start);
  }
  store<kMode, kRowsNow, kVectorsNow>(g, left.at, tile);
  left.rows -= kRowsNow;
  left.sums += kRowsNow * kBlock;
  left.at.y = static_cast<std::byte*>(left.at.y) + kRowsNow * left.at.stride * element_bytes(kMode);
  if (kMode == Mode::kSums) left.at.plus += kRowsNow * left.at.stride;
}

template <Mode kMode, size_t kVectorsNow>
HWY_INLINE void store_some(const ByteBlock& g, Results& left) {
  if (left.rows >= kFewRows) store_rows<kMode, kVectorsNow, kFewRows>(g, left);
}

template <Mode kMode, size_t kVectorsNow>
HWY_INLINE void store_all(const ByteBlock& g, Results& left) {
  while (left.rows >= kFewRows) store_rows<kMode, kVectorsNow, kFewRows>(g, left);
  while (left.rows > 0) store_rows<kMode, kVectorsNow, 1>(g, left);
}

// What all tiles of a block share, and the rows that they are set up for.
struct Steps {
  explicit Steps(const ByteBlock& g) {
    const auto depth = static_cast<int64_t>(g.count * g.quads) * ByteForm::kQuad;
    tile_bytes = static_cast<size_t>(ByteForm::tile_bytes(depth));
    count = (static_cast<size_t>(depth) + tile_bytes - 1) / tile_bytes;
    a_step = g.rows > 1 ? static_cast<size_t>(g.parts[1] - g.parts[0]) : 0;
  }
  size_t weight_bytes(size_t columns) const { return count * tile_bytes * columns; }

  size_t tile_bytes, count;  // of a row's tiles
  size_t a_step;             // bytes from a row to the next
  size_t shaped = 0;
};

// Rows of a by columns of weights, which are `step` bytes from quad to quad.
struct Products {
  const uint8_t* upper;
  const uint8_t* lower;
  const std::byte* weights;
  size_t step;
};

HWY_INLINE Products products_of(const ByteBlock& g, const Steps& steps, size_t row, size_t upper,
                                const std::byte* weights, size_t step = kVectors * kVectorBytes) {
  const uint8_t* a = g.parts[0] + row * steps.a_step;
  return {a, a + upper * steps.a_step, weights, step};
}

// meanwhile() after each step: what does not need the tiles.
template <bool kTwoDown, bool kTwoAcross, class F>
HWY_INLINE void add_up(const Steps& steps, Products p, const F& meanwhile) {
  tiles::clear<0>();
  if (kTwoAcross) tiles::clear<1>();
  if (kTwoDown) tiles::clear<2>();
  if (kTwoDown && kTwoAcross) tiles::clear<3>();
  const size_t weight_bytes = steps.tile_bytes / ByteForm::kQuad * p.step;
  for (size_t i = 0; i < steps.count; ++i) {
    tiles::load<kUpper>(p.upper, steps.a_step);
    tiles::load<kWeights>(p.weights, p.step);
    tiles::add_bytes<0, kUpper, kWeights>();
    if constexpr (kTwoAcross) {
      tiles::load<kWeights + 1>(p.weights + kVectorBytes, p.step);
      tiles::add_bytes<1, kUpper, kWeights + 1>();
    }
    if constexpr (kTwoDown) {
      tiles::load<kLower>(p.lower, steps.a_step);
      tiles::add_bytes<2, kLower, kWeights>();
      if (kTwoAcross) tiles::add_bytes<3, kLower, kWeights + 1>();
    }
    meanwhile();
    p.upper += steps.tile_bytes;
    p.lower += steps.tile_bytes;
    p.weights += weight_bytes;
  }
}

template <bool kTwoDown, bool kTwoAcross>
HWY_INLINE void keep_sums(int32_t* to, size_t upper) {
  int32_t* lower_to = to + upper * kBlock;
  tiles::keep<0>(to, kSumsStep);
  if (kTwoAcross) tiles::keep<1>(to + kLanes, kSumsStep);
  if (kTwoDown) tiles::keep<2>(lower_to, kSumsStep);
  if (kTwoDown && kTwoAcross) tiles::keep<3>(lower_to + kLanes, kSumsStep);
}

// f(the first row, the rows, those of the upper tiles) for all rows, whose tiles are set up.
template <class F>
HWY_INLINE void for_each_piece(const ByteBlock& g, Steps& steps, const F& f) {
  for_equal_pieces(g.rows, kRows, [&](size_t row, size_t rows) HWY_ATTR {
    if (rows != steps.shaped) tiles::configure(shapes_of(steps.shaped = rows, steps.tile_bytes));
    f(row, rows, (rows + 1) / 2);
  });
}

// Columns of whole blocks. The sums of an area are stored while the next one's are added up.
template <Mode kMode, bool kTwoDown>
void multiply_blocks(const ByteBlock& g, Steps& steps, size_t columns) {
  alignas(64) int32_t sums[2][kRows * kBlock];
  Results left;
  size_t turn = 0;
  const std::byte* weights = g.weights;
  for (size_t column = 0; column < columns; column += kBlock) {
    tiles::Fetch next;
    if (column + kBlock < columns)
      next = {weights + steps.weight_bytes(kBlock), steps.weight_bytes(kBlock),
              steps.count * ((g.rows + kRows - 1) / kRows)};
    for_each_piece(g, steps, [&](size_t row, size_t rows, size_t upper) HWY_ATTR {
      int32_t* to = sums[turn];
      add_up<kTwoDown, true>(steps, products_of(g, steps, row, upper, weights), [&]() HWY_ATTR {
        store_some<kMode, kVectors>(g, left);
        next.next_share();
      });
      store_all<kMode, kVectors>(g, left);
      keep_sums<kTwoDown, true>(to, upper);
      left = {rows, to, place_of(g, kMode, row, column)};
      turn = 1 - turn;
    });
    weights += steps.weight_bytes(kBlock);
  }
  store_all<kMode, kVectors>(g, left);
}

// The columns behind them.
template <Mode kMode, bool kTwoDown, size_t kVectorsNow>
void multiply_rest(const ByteBlock& g, Steps& steps, size_t column) {
  alignas(64) int32_t sums[kRows * kBlock];
  const std::byte* weights = g.weights + column / kBlock * steps.weight_bytes(kBlock);
  for_each_piece(g, steps, [&](size_t row, size_t rows, size_t upper) HWY_ATTR {
    add_up<kTwoDown, kVectorsNow == kVectors>(
        steps, products_of(g, steps, row, upper, weights, kVectorsNow * kVectorBytes), [] {});
    keep_sums<kTwoDown, kVectorsNow == kVectors>(sums, upper);
    const Area area{row, rows, column, g.columns - column};
    with_place<kRows, kVectorsNow * kLanes>(g, kMode, area, [&](const Place& at) HWY_ATTR {
      Results left{rows, sums, at};
      store_all<kMode, kVectorsNow>(g, left);
    });
  });
}

template <Mode kMode, bool kTwoDown>
void multiply_now(const ByteBlock& g, Steps& steps) {
  const size_t whole = g.columns / kBlock * kBlock, rest = g.columns - whole;
  if (whole > 0) multiply_blocks<kMode, kTwoDown>(g, steps, whole);
  if (rest > kLanes) {
    multiply_rest<kMode, kTwoDown, kVectors>(g, steps, whole);
  } else if (rest > 0) {
    multiply_rest<kMode, kTwoDown, 1>(g, steps, whole);
  }
}

void multiply(const ByteBlock& g) {
  Steps steps(g);
  const bool two = g.rows > 1;
  switch (mode_of(g)) {
    case Mode::kFloats:
      two ? multiply_now<Mode::kFloats, true>(g, steps)
          : multiply_now<Mode::kFloats, false>(g, steps);
      break;
    case Mode::kBytes:
      two ? multiply_now<Mode::kBytes, true>(g, steps)
          : multiply_now<Mode::kBytes, false>(g, steps);
      break;
    case Mode::kSums:
      two ? multiply_now<Mode::kSums, true>(g, steps) : multiply_now<Mode::kSums, false>(g, steps);
      break;
  }
  tiles::release();
}

void copy(const ByteCopy& c) {
  const auto flips = hn::Set(d, c.flip);
  const uint8_t* const* part = c.parts;
  for (size_t row = 0; row < c.rows; ++row) {
    uint8_t* to = c.to + row * c.step;
    for (size_t p = 0; p < c.count; ++p, ++part, to += c.part_bytes) {
      const uint8_t* from = *part;
      copy_pieces(
          d, c.part_bytes,
          [&](size_t b) HWY_ATTR { hn::StoreU(hn::Xor(hn::LoadU(d, from + b), flips), d, to + b); },
          [&](size_t b) { to[b] = from[b] ^ c.flip; });
    }
  }
}

ByteProductFunctions functions() {
  return {{kLanes, kBlock, kRows, ByteKind::kTiles}, multiply, copy};
}

#else

ByteProductFunctions functions() { return {}; }

#endif

}  // namespace
}  // namespace treadle::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace treadle::cpu {

ByteProductFunctions byte_tile_functions() { return TREADLE_DISPATCH(functions)(); }

}  // namespace treadle::cpu
#endif

#include "backends/cpu/simd/byte_tiles.h"

#include <algorithm>
#include <cstring>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/simd/byte_tiles.cc"
#include <hwy/foreach_target.h>

#include "backends/cpu/simd/byte_store.h"
#include "backends/cpu/simd/math.h"
#include "backends/cpu/simd/simd.h"

HWY_BEFORE_NAMESPACE();
namespace treadle::cpu::HWY_NAMESPACE {
namespace {

#if HWY_TARGET == HWY_AVX3

constexpr size_t kTileRows = 16;
constexpr size_t kRows = 2 * kTileRows;
constexpr size_t kVectors = 2;
constexpr size_t kBlock = kVectors * kLanes;
constexpr size_t kVectorBytes = hn::MaxLanes(d);
constexpr size_t kFewRows = 8;
constexpr size_t kSumsStep = kBlock * sizeof(int32_t);

// Instructions are written as assembly since the functions around them are compiled without AMX.
// Intel's Software Developer's Manual, volume 1, chapter 18.
struct alignas(64) TileShapes {
  uint8_t palette = 1;
  uint8_t start = 0;
  uint8_t reserved[14] = {};
  uint16_t row_bytes[16] = {};
  uint8_t rows[16] = {};
};
static_assert(sizeof(TileShapes) == 64);

HWY_INLINE void configure(const TileShapes& shapes) {
  asm volatile("ldtilecfg %0" : : "m"(shapes));
}
HWY_INLINE void release() { asm volatile("tilerelease"); }
template <int kTile>
HWY_INLINE void load(const void* from, size_t step) {
  asm volatile("tileloadd (%0,%1,1), %%tmm%c2" : : "r"(from), "r"(step), "i"(kTile) : "memory");
}
template <int kTile>
HWY_INLINE void keep(void* to, size_t step) {
  asm volatile("tilestored %%tmm%c2, (%0,%1,1)" : : "r"(to), "r"(step), "i"(kTile) : "memory");
}
template <int kTile>
HWY_INLINE void clear() {
  asm volatile("tilezero %%tmm%c0" : : "i"(kTile));
}
template <int kSum, int kA, int kWeights>
HWY_INLINE void add_product() {
  asm volatile("tdpbusd %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(kSum), "i"(kA), "i"(kWeights));
}

// Sums are tiles 0 to 3: two vectors of the upper rows, and of the lower.
constexpr int kUpper = 4, kLower = 5, kWeights = 6;

TileShapes shapes_of(size_t rows, size_t tile_bytes) {
  const auto upper = static_cast<uint8_t>(std::min(rows, (rows + 1) / 2));
  const auto lower = static_cast<uint8_t>(rows - upper);
  TileShapes shapes;
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

// Some rows of an area.
template <Mode kMode, size_t kVectorsNow>
HWY_NOINLINE void store_rows(const ByteBlock& g, const Area& area, const int32_t* sums) {
  V32 starts[kVectorsNow];
#pragma GCC unroll 2
  for (size_t v = 0; v < kVectorsNow; ++v)
    starts[v] = hn::LoadU(d32, g.starts + area.column + v * kLanes);
  with_place<kFewRows, kVectorsNow * kLanes>(g, kMode, area, [&](Place at) HWY_ATTR {
    const auto store_now = [&]<size_t kRowsNow>() HWY_ATTR {
      Tile<kRowsNow, kVectorsNow> tile;
#pragma GCC unroll 8
      for (size_t r = 0; r < kRowsNow; ++r) {
#pragma GCC unroll 2
        for (size_t v = 0; v < kVectorsNow; ++v)
          tile[r][v] = hn::Add(hn::Load(d32, sums + r * kBlock + v * kLanes), starts[v]);
      }
      store<kMode, kRowsNow, kVectorsNow>(g, at, tile);
    };
    if (area.rows == kFewRows) return store_now.template operator()<kFewRows>();
    for (size_t r = 0; r < area.rows; ++r) {
      store_now.template operator()<1>();
      constexpr size_t kSize = kMode == Mode::kFloats ? sizeof(float) : 1;
      at.y = static_cast<std::byte*>(at.y) + at.stride * kSize;
      if (kMode == Mode::kSums) at.plus += at.stride;
      sums += kBlock;
    }
  });
}

using StoreFn = void (*)(const ByteBlock& g, const Area& area, const int32_t* sums);
template <size_t kVectorsNow>
StoreFn store_function(Mode mode) {
  switch (mode) {
    case Mode::kFloats: return store_rows<Mode::kFloats, kVectorsNow>;
    case Mode::kBytes: return store_rows<Mode::kBytes, kVectorsNow>;
    case Mode::kSums: return store_rows<Mode::kSums, kVectorsNow>;
  }
  return nullptr;
}

// What is left to be stored of an area: a few rows between the products of the next, which do not
// need the same units.
class Results {
 public:
  Results() = default;
  Results(const ByteBlock& g, const Area& area, const int32_t* sums)
      : g_(&g),
        left_(area),
        sums_(sums),
        store_(area.columns > kLanes ? store_function<2>(mode_of(g))
                                     : store_function<1>(mode_of(g))) {}
  HWY_INLINE void store_some() {
    if (left_.rows == 0) return;
    Area now = left_;
    now.rows = std::min(now.rows, kFewRows);
    store_(*g_, now, sums_);
    left_.row += now.rows;
    left_.rows -= now.rows;
    sums_ += now.rows * kBlock;
  }
  void store_all() {
    while (left_.rows != 0) store_some();
  }

 private:
  const ByteBlock* g_ = nullptr;
  Area left_{};
  const int32_t* sums_ = nullptr;
  StoreFn store_ = nullptr;
};

// What all tiles of a block share.
struct Steps {
  size_t tile_bytes, count;  // of a row's tiles
  size_t a_step;             // bytes from a row to the next
};

// Of rows of a by columns of the weights, which are `step` bytes from quad to quad.
struct Products {
  const uint8_t* upper;
  const uint8_t* lower;
  const std::byte* weights;
  size_t step;
  int32_t* to;
  int32_t* lower_to;
};

template <bool kTwoDown, bool kTwoAcross>
void add_up(const Steps& steps, Products s, Results& last) {
  clear<0>();
  if (kTwoAcross) clear<1>();
  if (kTwoDown) clear<2>();
  if (kTwoDown && kTwoAcross) clear<3>();
  const size_t weight_bytes = steps.tile_bytes / ByteForm::kQuad * s.step;
  for (size_t i = 0; i < steps.count; ++i) {
    load<kUpper>(s.upper, steps.a_step);
    load<kWeights>(s.weights, s.step);
    add_product<0, kUpper, kWeights>();
    if constexpr (kTwoAcross) {
      load<kWeights + 1>(s.weights + kVectorBytes, s.step);
      add_product<1, kUpper, kWeights + 1>();
    }
    if constexpr (kTwoDown) {
      load<kLower>(s.lower, steps.a_step);
      add_product<2, kLower, kWeights>();
      if (kTwoAcross) add_product<3, kLower, kWeights + 1>();
    }
    last.store_some();
    s.upper += steps.tile_bytes;
    s.lower += steps.tile_bytes;
    s.weights += weight_bytes;
  }
  last.store_all();
  keep<0>(s.to, kSumsStep);
  if (kTwoAcross) keep<1>(s.to + kLanes, kSumsStep);
  if (kTwoDown) keep<2>(s.lower_to, kSumsStep);
  if (kTwoDown && kTwoAcross) keep<3>(s.lower_to + kLanes, kSumsStep);
}

void multiply(const ByteBlock& g) {
  const auto depth = static_cast<int64_t>(g.count * g.quads) * ByteForm::kQuad;
  const auto tile_bytes = static_cast<size_t>(ByteForm::tile_bytes(depth));
  const Steps steps{tile_bytes, (static_cast<size_t>(depth) + tile_bytes - 1) / tile_bytes,
                    g.rows > 1 ? static_cast<size_t>(g.parts[1] - g.parts[0]) : 0};
  alignas(64) int32_t sums[2][kRows * kBlock];
  Results last;
  size_t turn = 0, shaped = 0;
  const std::byte* weights = g.weights;
  for (size_t column = 0; column < g.columns; column += kBlock) {
    const size_t columns = std::min(g.columns - column, kBlock);
    const bool two = columns > kLanes;
    const size_t step = two ? kVectors * kVectorBytes : kVectorBytes;
    for_equal_pieces(g.rows, kRows, [&](size_t row, size_t rows) {
      if (rows != shaped) configure(shapes_of(shaped = rows, tile_bytes));
      const size_t upper = (rows + 1) / 2;
      const uint8_t* a = g.parts[0] + row * steps.a_step;
      int32_t* to = sums[turn];
      const Products job{a, a + upper * steps.a_step, weights, step, to, to + upper * kBlock};
      if (rows > 1) {
        two ? add_up<true, true>(steps, job, last) : add_up<true, false>(steps, job, last);
      } else {
        two ? add_up<false, true>(steps, job, last) : add_up<false, false>(steps, job, last);
      }
      last = {g, {row, rows, column, columns}, to};
      turn = 1 - turn;
    });
    weights += steps.count * tile_bytes / ByteForm::kQuad * step;
  }
  release();
  last.store_all();
}

void copy(const ByteCopy& c) {
  const auto flips = hn::Set(d, c.flip);
  const size_t lanes = hn::Lanes(d);
  uint8_t* to = c.row + c.at;
  const auto take = [&](size_t i) HWY_ATTR {
    hn::StoreU(hn::Xor(hn::LoadU(d, c.part + i), flips), d, to + i);
  };
  size_t i = 0;
  for (; i + lanes <= c.count; i += lanes) take(i);
  if (i < c.count && i > 0) return take(c.count - lanes);
  for (; i < c.count; ++i) to[i] = c.part[i] ^ c.flip;
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

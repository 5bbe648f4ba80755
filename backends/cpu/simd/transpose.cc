#include "backends/cpu/simd/transpose.h"

#include <algorithm>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/simd/transpose.cc"
#include <hwy/foreach_target.h>

#include "backends/cpu/simd/math.h"
#include "backends/cpu/simd/simd.h"

HWY_BEFORE_NAMESPACE();
namespace treadle::cpu::HWY_NAMESPACE {

constexpr hn::ScalableTag<uint32_t> d;

// By blocks of as many rows as there are lanes, and four columns; the last ones overlap others.
// False where there is no whole block.
template <class Tag>
bool transpose_blocks(Tag tag, const TransposeJob& job) {
  constexpr size_t kRows = hn::MaxLanes(tag), kColumns = 4;
  if (job.rows < kRows || job.columns < kColumns) return false;
  for (size_t j = 0; j < job.rows; j += kRows) {
    const size_t row = j + kRows <= job.rows ? j : job.rows - kRows;
    const uint32_t* rows[kRows];
    for (size_t r = 0; r < kRows; ++r) rows[r] = job.from + (row + r) * job.from_step;
    for (size_t i = 0; i < job.columns; i += kColumns) {
      const size_t column = i + kColumns <= job.columns ? i : job.columns - kColumns;
      transpose_four(tag, rows, column, job.to + column * job.to_step + row, job.to_step);
    }
  }
  return true;
}

#if HWY_TARGET != HWY_SCALAR
// 16 rows of as many bytes. Each of four rounds interleaves the first half of the rows with the
// second: bit by bit the rows' numbers and the columns' change places.
HWY_INLINE void transpose_square(const uint8_t* from, size_t from_step, uint8_t* to,
                                 size_t to_step) {
  constexpr size_t kRows = kTransposedBytes;
  constexpr hn::FixedTag<uint8_t, kRows> bytes;
  hn::Vec<decltype(bytes)> rows[kRows], mixed[kRows];
#pragma GCC unroll 16
  for (size_t r = 0; r < kRows; ++r) rows[r] = hn::LoadU(bytes, from + r * from_step);
#pragma GCC unroll 4
  for (size_t round = 0; round < 4; ++round) {
#pragma GCC unroll 8
    for (size_t r = 0; r < kRows / 2; ++r) {
      mixed[2 * r] = hn::InterleaveLower(bytes, rows[r], rows[r + kRows / 2]);
      mixed[2 * r + 1] = hn::InterleaveUpper(bytes, rows[r], rows[r + kRows / 2]);
    }
#pragma GCC unroll 16
    for (size_t r = 0; r < kRows; ++r) rows[r] = mixed[r];
  }
#pragma GCC unroll 16
  for (size_t r = 0; r < kRows; ++r) hn::StoreU(rows[r], bytes, to + r * to_step);
}

// By as many rows as make a line of results. The last blocks overlap others. False where there is
// no whole block.
bool transpose_squares(const TransposeOf<uint8_t>& job) {
  constexpr size_t kRows = kTransposedBytes, kLine = 64;
  if (job.rows < kRows || job.columns < kRows) return false;
  for (size_t first = 0; first < job.rows; first += kLine) {
    const size_t end = std::min(first + kLine, job.rows);
    for (size_t i = 0; i < job.columns; i += kRows) {
      const size_t column = std::min(i, job.columns - kRows);
      for (size_t j = first; j < end; j += kRows) {
        const size_t row = std::min(j, job.rows - kRows);
        transpose_square(job.from + row * job.from_step + column, job.from_step,
                         job.to + column * job.to_step + row, job.to_step);
      }
    }
  }
  return true;
}

// Three rows, whose elements lie side by side afterwards: the channels of a picture.
template <class T>
void interleave_three(const TransposeOf<T>& job) {
  const hn::ScalableTag<T> dt;
  const size_t lanes = hn::Lanes(dt);
  const T* const rows[] = {job.from, job.from + job.from_step, job.from + 2 * job.from_step};
  size_t i = 0;
  for (; i + lanes <= job.columns; i += lanes) {
    hn::StoreInterleaved3(hn::LoadU(dt, rows[0] + i), hn::LoadU(dt, rows[1] + i),
                          hn::LoadU(dt, rows[2] + i), dt, job.to + 3 * i);
  }
  for (; i < job.columns; ++i) {
    for (size_t r = 0; r < 3; ++r) job.to[3 * i + r] = rows[r][i];
  }
}
#endif

template <class T>
void transpose_rest(const TransposeOf<T>& job) {
#if HWY_TARGET != HWY_SCALAR
  if (job.rows == 3 && job.to_step == 3) return interleave_three(job);
#endif
  constexpr size_t kTile = 16;  // columns whose lines stay in L1
  for (size_t first = 0; first < job.columns; first += kTile) {
    const size_t end = first + kTile < job.columns ? first + kTile : job.columns;
    for (size_t i = first; i < end; ++i) {
      for (size_t r = 0; r < job.rows; ++r)
        job.to[i * job.to_step + r] = job.from[r * job.from_step + i];
    }
  }
}

void transpose(const TransposeJob& job) {
  if (transpose_blocks(d, job)) return;
#if HWY_TARGET != HWY_SCALAR
  if (transpose_blocks(hn::FixedTag<uint32_t, 4>(), job)) return;
#endif
  transpose_rest(job);
}

void transpose_bytes(const TransposeOf<uint8_t>& job) {
#if HWY_TARGET != HWY_SCALAR
  if (transpose_squares(job)) return;
#endif
  transpose_rest(job);
}

}  // namespace treadle::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace treadle::cpu {

TransposeFn transpose_function() { return TREADLE_DISPATCH(transpose); }

TransposeBytesFn transpose_bytes_function() { return TREADLE_DISPATCH(transpose_bytes); }

}  // namespace treadle::cpu
#endif

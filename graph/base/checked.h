// Checked arithmetic for sizes: the only arithmetic on numbers that come from a file or a caller.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>

#include "graph/base/error.h"

namespace treadle {

// a·b, a+b, a−b; kLimit when the result does not fit.
inline int64_t checked_mul(int64_t a, int64_t b) {
  int64_t r;
  TREADLE_CHECK(!__builtin_mul_overflow(a, b, &r), kLimit, "size overflows: ", a, " x ", b);
  return r;
}
inline int64_t checked_add(int64_t a, int64_t b) {
  int64_t r;
  TREADLE_CHECK(!__builtin_add_overflow(a, b, &r), kLimit, "size overflows: ", a, " + ", b);
  return r;
}
inline int64_t checked_sub(int64_t a, int64_t b) {
  int64_t r;
  TREADLE_CHECK(!__builtin_sub_overflow(a, b, &r), kLimit, "size overflows: ", a, " - ", b);
  return r;
}

// Rounds towards minus infinity / plus infinity; b > 0.
inline int64_t floor_div(int64_t a, int64_t b) { return a / b - (a % b < 0 ? 1 : 0); }
inline int64_t ceil_div(int64_t a, int64_t b) { return a / b + (a % b > 0 ? 1 : 0); }

// Maps a possibly negative axis to [0, rank); kInvalidModel when it is out of range.
inline int64_t resolve_axis(int64_t axis, int64_t rank) {
  TREADLE_CHECK(axis >= -rank && axis < rank, kInvalidModel, "axis ", axis,
                " is out of range for rank ", rank, ": expected ", -rank, " to ", rank - 1);
  return axis < 0 ? axis + rank : axis;
}

}  // namespace treadle

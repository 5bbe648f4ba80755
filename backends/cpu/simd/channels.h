// Functions over rows of floats, one column a channel: sums a channel, and the way back through a
// maximum of rows.
#pragma once

#include <cstddef>

namespace treadle::cpu {

// Rows of `count` columns, `stride` floats apart.
struct ChannelRows {
  const float* x;
  const float* other;   // rows like x's, `stride` apart too
  const float* centre;  // one a column
  size_t rows;
  size_t stride;
  size_t count;
};

// `count` pairs of rows of n columns.
struct GreatestRows {
  const float* const* rows;
  float* const* to;
  size_t count;
  size_t n;
};

struct ChannelFunctions {
  // Of every column, added to first[i] the sum of x - centre, to second[i] that of its square.
  void (*moments)(const ChannelRows& rows, double* first, double* second);
  // The sum of other; of other * (x - centre).
  void (*products)(const ChannelRows& rows, double* first, double* second);
  // Adds `from` to that of the rows `to` which holds, among the corresponding `rows`, the column's
  // greatest: the first of equals; NaN is the greatest.
  void (*add_to_greatest)(const GreatestRows& rows, const float* from);
  // Puts `from` there, and 0 into the other rows.
  void (*put_at_greatest)(const GreatestRows& rows, const float* from);
};
const ChannelFunctions& channel_functions();

}  // namespace treadle::cpu

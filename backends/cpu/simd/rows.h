// Functions over one dense row of floats: softmax, normalization, reduction; and reduction of
// columns.
#pragma once

#include <cstddef>
#include <cstdint>

namespace treadle::cpu {

enum class RowOp : uint8_t { kSum, kSumSquare, kSumAbs, kMax, kMin };

// Each x of a row becomes e^(x - the row's greatest), or 0 in a row of nothing but -∞.
struct ExpRows {
  float* x;
  size_t rows;
  size_t stride;
  size_t n;
  float* sums;  // [rows], of what the row becomes
};

struct NormRow {
  const float* x;
  const float* scale;
  const float* shift;  // may be null
  float* y;            // may be x
  size_t n;
  float epsilon;
  bool centre;  // false: the mean is taken as 0 (RMS normalization)
};
struct NormResult {
  float mean;
  float inverse_deviation;
};

struct SpreadRow {
  float centre;
  float factor;
  float term;
};

struct Columns {
  const float* x;
  size_t rows;
  size_t stride;
  size_t count;
};

// Up to so many floats softmax_short takes.
inline constexpr size_t kShortRow = 8;

// to[i] = the greatest x[i] of `count` rows of n numbers (at least one; `to` may be among them).
template <class T>
using MaximumFn = void (*)(const T* const* rows, size_t count, size_t n, T* to);

struct RowFunctions {
  void (*exponentiate)(const ExpRows& rows);
  void (*softmax)(const float* x, float* y, size_t n);
  // Of `rows` rows that lie one after another, of 1 to kShortRow floats each; y may be x.
  void (*softmax_short)(const float* x, float* y, size_t rows, size_t n);
  void (*log_softmax)(const float* x, float* y, size_t n);
  NormResult (*normalize)(const NormRow& row);
  // What `normalize` subtracts and multiplies by.
  NormResult (*moments)(const float* x, size_t n, float epsilon, bool centre);
  // y[i] = (x[i] - centre) * factor + term; y may be x.
  void (*spread)(const float* x, const SpreadRow& row, float* y, size_t n);
  float (*reduce)(RowOp op, const float* x, size_t n);
  // to[i] = the reduction of column i of `rows` rows that are `stride` apart.
  void (*reduce_columns)(RowOp op, const Columns& columns, float* to);
  MaximumFn<float> maximum;
  MaximumFn<uint8_t> maximum_uint8;
  MaximumFn<int8_t> maximum_int8;
};
const RowFunctions& row_functions();

}  // namespace treadle::cpu

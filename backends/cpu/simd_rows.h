// Functions over one dense row of floats: softmax, normalization, reduction.
#pragma once

#include <cstddef>
#include <cstdint>

namespace treadle::cpu {

enum class RowOp : uint8_t { kSum, kSumSquare, kSumAbs, kMax, kMin };

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

struct RowFunctions {
  void (*softmax)(const float* x, float* y, size_t n);
  void (*log_softmax)(const float* x, float* y, size_t n);
  NormResult (*normalize)(const NormRow& row);
  float (*reduce)(RowOp op, const float* x, size_t n);
  // to[i] = op(to[i], x[i]).
  void (*accumulate)(RowOp op, const float* x, float* to, size_t n);
};
const RowFunctions& row_functions();

}  // namespace treadle::cpu

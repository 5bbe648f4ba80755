// Sums of outer products over packed panels: the core of a convolution's gradient for its weights.
#pragma once

#include <cstddef>

namespace treadle::cpu {

// A run of positions that both operands have: offsets in floats.
struct OuterRun {
  size_t a;
  size_t b;
  size_t count;
};

// c[i, j] += the sum over the positions of all runs of a[i] * b[j]. Position k of a run has `rows`
// floats at a + k * a_step and a panel's columns (OuterFunctions, half of them where `narrow`) at
// b + k * columns. c's rows are as many floats apart.
struct OuterBlock {
  const float* a;
  const float* b;
  const OuterRun* runs;
  size_t run_count;
  size_t a_step;
  float* c;
  size_t rows;  // 1 to kMostRows
  bool narrow;
};

// to[i * to_step + j] += from[i * from_step + j], j < n.
struct OuterAddition {
  const float* from;
  size_t from_step;
  float* to;
  size_t to_step;
  size_t count;
  size_t n;
};

struct OuterFunctions {
  size_t columns;
  void (*accumulate)(const OuterBlock& block);
  void (*add)(const OuterAddition& addition);
};
const OuterFunctions& outer_functions();

inline constexpr size_t kMostRows = 6;

}  // namespace treadle::cpu

// What an Attention node asks for: operands as heads, masks, windows.
#pragma once

#include "backends/backend.h"

namespace treadle::cpu {

inline constexpr size_t kQ = 0, kK = 1, kV = 2, kMask = 3, kValid = 6;  // inputs
inline constexpr size_t kPast = 3;  // input i's past is input i + kPast, and both are output i
inline constexpr int64_t kFar = int64_t{1}
                                << 40;  // beyond every position; sums of it do not overflow

// An operand as [batch, heads, rows, size]; a row of a head is dense. Of rank 3 the heads of a row
// lie beside each other.
struct Heads {
  int64_t batch = 0;
  int64_t heads = 0;
  int64_t rows = 0;
  int64_t size = 0;
  int64_t batch_stride = 0;
  int64_t head_stride = 0;
  int64_t row_stride = 0;
  int64_t start = 0;

  int64_t at(int64_t b, int64_t h) const { return start + b * batch_stride + h * head_stride; }
};

// Keys or values.
struct Rows {
  size_t input = 0;
  Heads now;
  Heads past;         // rows before those of `now`, or none
  bool kept = false;  // all of them are an output

  int64_t count() const { return past.rows + now.rows; }
  int64_t size() const { return now.size; }
};

struct AttentionProblem {
  Heads q, y;
  Rows k, v;
  Dims mask;                  // strides of its rows over [batch, heads, queries, 1]; empty: none
  int64_t mask_columns = 0;   // keys beyond them are forbidden
  bool mask_is_bool = false;  // False forbids
  bool causal = false;
  bool padded = false;  // nonpad_kv_seqlen tells how many keys count
  int64_t left = -1;    // windows; -1: unbounded
  int64_t right = -1;
  float scale = 1;
  float softcap = 0;
};

struct Range {
  int64_t begin = 0;
  int64_t end = 0;
};

// Whether native_attention's kernel computes the node.
Support supports_attention(const NodeSpec& spec);
// Of a node that is supported.
AttentionProblem attention_problem(const NodeSpec& spec);

// The keys that query `i` may look at; the range of a later one neither begins nor ends before it.
// `valid`: the batch's nonpad_kv_seqlen.
Range visible(const AttentionProblem& p, int64_t valid, int64_t i);

}  // namespace treadle::cpu

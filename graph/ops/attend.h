// The scaled dot product of com.microsoft's attention operators, as a graph of standard operators.
#pragma once

#include "graph/ops/microsoft.h"

namespace treadle {

// [batch, sequence, heads * size] as [batch, heads, sequence, size]; one of rank 4 stays as it is.
ValueId split_heads(Builder& b, ValueId x, int64_t heads);
// The reverse.
ValueId join_heads(Builder& b, ValueId x);

// Queries [batch, heads, S, size] over keys and values [batch, key heads, T, size]; heads that
// share a key head follow each other.
struct Attending {
  ValueId q, k, v;
  int64_t heads = 1;
  int64_t key_heads = 1;
  float scale = 0;       // 0: 1 / sqrt(size)
  float softcap = 0;     // 0: none
  ValueId bias = {};     // added to the scores; may be absent
  ValueId allowed = {};  // bool; where it is false the score is the lowest number; may be absent
  // Logits of one more key for each head, which has no value, [1, heads, 1, 1]; may be absent.
  ValueId sink = {};
};
struct Attended {
  ValueId y;        // [batch, heads, S, value size]
  ValueId scores;   // [batch, heads, S, T], before the softmax
  ValueId weights;  // after it
};
Attended attend(Builder& b, const Attending& a);

// [S, T]: key j is not behind query i, whose own key is number i + past.
ValueId causal_mask(Builder& b, ValueId queries, ValueId keys, ValueId past);

}  // namespace treadle

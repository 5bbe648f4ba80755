// Attention over operands of rank 3 whose heads are columns of wider tensors.
#pragma once

#include "graph/attributes.h"

namespace treadle {

// The columns of an operand of rank 3 that are its heads, one after another.
struct HeadColumns {
  int64_t start = 0;
  int64_t heads = 0;
  int64_t size = 0;

  int64_t count() const { return heads * size; }
  int64_t end() const { return start + count(); }
};

// Of FusedAttention's input 0 (Q), 1 (K) or 2 (V). kInvalidModel for what no operand has.
HeadColumns head_columns(const Attributes& attributes, size_t input);
// Whether operands of rank 3 are [sequence, batch, columns]; else [batch, sequence, columns].
bool sequence_first(const Attributes& attributes);

}  // namespace treadle

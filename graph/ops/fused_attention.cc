// Attention where the projections have its heads: Q, K and V of rank 3 may be parts of one tensor,
// and Y has rank 3. Made by the optimizer.
#include "graph/ops/fused_attention.h"

#include <array>

#include "graph/base/checked.h"
#include "graph/ops/attend.h"
#include "graph/ops/composite.h"
#include "graph/ops/families.h"

namespace treadle {
namespace {

using Ints = std::vector<int64_t>;

struct Operand {
  Dim batch, heads, rows, size;
};

// The heads of an operand that has not rank 4.
HeadColumns columns_in(const Shape& x, const Attributes& attributes, size_t i) {
  const HeadColumns columns = head_columns(attributes, i);
  TREADLE_CHECK(x.size() == 3 && (!x[2].known() || columns.end() <= x[2].value()), kInvalidModel,
                "an operand has shape ", shape_text(x), ", expected rank 4, or rank 3 with ",
                columns.end(), " columns at least");
  return columns;
}

Operand operand(const InferContext& c, size_t i) {
  const Shape& x = c.shape(i);
  if (x.size() == 4) return {x[0], x[1], x[2], x[3]};
  const HeadColumns columns = columns_in(x, c.attributes(), i);
  const bool turned = sequence_first(c.attributes());
  return {x[turned ? 1 : 0], columns.heads, x[turned ? 0 : 1], columns.size};
}

void infer_fused_attention(InferContext& c) {
  const Operand q = operand(c, 0), v = operand(c, 2);
  operand(c, 1);
  const bool turned = sequence_first(c.attributes());
  c.set_shape(0, {turned ? q.rows : q.batch, turned ? q.batch : q.rows, q.heads * v.size});
}

// [batch, heads, sequence, size] of input `i`.
ValueId apart(Builder& b, const Node& node, size_t i) {
  ValueId x = node.input(i);
  if (known_rank(b, x) == 4) return x;
  const HeadColumns columns = columns_in(*b.type(x).shape, node.attributes, i);
  const Dim& width = b.type(x).shape->back();
  if (!width.is(columns.end()) || columns.start != 0)
    x = b.op("Slice", {x, b.ints({columns.start}), b.ints({columns.end()}), b.ints({2})});
  x = b.op("Reshape", {x, b.ints({0, 0, columns.heads, columns.size})});
  const Ints perm = sequence_first(node.attributes) ? Ints{1, 2, 0, 3} : Ints{0, 2, 1, 3};
  return b.op("Transpose", {x}, {{"perm", perm}});
}

std::vector<ValueId> decompose_fused_attention(Builder& b, const Node& node) {
  std::vector<ValueId> inputs = node.inputs;
  for (size_t i : {0, 1, 2}) inputs[i] = apart(b, node, i);
  Attributes attributes = attributes_for("Attention", node.attributes);
  for (const char* rank3 : {"q_num_heads", "kv_num_heads"}) attributes.erase(rank3);
  const ValueId y = b.op("Attention", inputs, attributes);
  if (!sequence_first(node.attributes)) return {join_heads(b, y)};
  const ValueId rows = b.op("Transpose", {y}, {{"perm", Ints{2, 0, 1, 3}}});
  const int64_t width = checked_mul(known_size(b, rows, 2), known_size(b, rows, 3));
  return {b.op("Reshape", {rows, b.ints({0, 0, width})})};
}

constexpr OpDef kRows[] = {
    {.kind = "FusedAttention",
     .inputs = "Q:T1 K:T1 V:T2 attn_mask?:U past_key?:T1 past_value?:T2 nonpad_kv_seqlen?:int64",
     .outputs = "Y:T1",
     .types = "T1=floats T2=floats U=numbers,bool",
     .attributes = "right_window_size:i=-1 left_window_size:i=-1 softcap:f=0 softmax_precision:i "
                   "kv_num_heads:i q_num_heads:i scale:f is_causal:i=0 qk_head_size:i "
                   "v_head_size:i q_start:i=0 k_start:i=0 v_start:i=0 sequence_first:i=0",
     .infer = infer_fused_attention,
     .decompose = decompose_fused_attention,
     .domain = "treadle"},
};

}  // namespace

HeadColumns head_columns(const Attributes& a, size_t input) {
  constexpr std::array kStarts = {"q_start", "k_start", "v_start"};
  const HeadColumns c{a.i(kStarts.at(input), 0),
                      a.i(input == 0 ? "q_num_heads" : "kv_num_heads", 0),
                      a.i(input == 2 ? "v_head_size" : "qk_head_size", 0)};
  TREADLE_CHECK(c.start >= 0 && c.heads > 0 && c.size > 0, kInvalidModel, c.heads, " heads of ",
                c.size, " columns from column ", c.start, " on");
  checked_add(c.start, checked_mul(c.heads, c.size));
  return c;
}

bool sequence_first(const Attributes& attributes) { return attributes.i("sequence_first", 0) != 0; }

std::span<const OpDef> fused_attention_ops() { return kRows; }

}  // namespace treadle

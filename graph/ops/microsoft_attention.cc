// com.microsoft's Attention, QAttention, MultiHeadAttention and RotaryEmbedding, as graphs of
// standard operators.
#include "graph/ops/attend.h"
#include "graph/ops/composite.h"
#include "graph/ops/families.h"

namespace treadle {
namespace {

using Values = std::vector<ValueId>;

// ---- Masks

// What masks are made from: the vectors of one element hold sizes.
struct MaskSizes {
  ValueId batch, queries, keys, past;
};

// [batch, T] of the ends (and starts) of each row's keys: a vector of batch or of 2 * batch
// elements.
ValueId within_ends(Builder& b, ValueId ends, const MaskSizes& sizes) {
  const DType dtype = b.type(ends).dtype;
  const ValueId none = b.op("Expand", {b.scalar(dtype, 0), sizes.batch});
  const ValueId all = b.op("Concat", {ends, none}, {{"axis", int64_t{0}}});
  const ValueId twice = b.op("Mul", {sizes.batch, b.ints({2})});
  const ValueId axis = b.ints({1});
  const ValueId last = b.op("Unsqueeze", {b.op("Slice", {all, b.ints({0}), sizes.batch}), axis});
  const ValueId first = b.op("Unsqueeze", {b.op("Slice", {all, sizes.batch, twice}), axis});
  const ValueId keys = cast(b, indices_below(b, sizes.keys), dtype);
  return b.op("And", {b.op("Less", {keys, last}), b.op("GreaterOrEqual", {keys, first})});
}

// The part of a square mask [batch, 1, M, M] that is for these queries and keys.
ValueId part_of_square(Builder& b, ValueId mask, const MaskSizes& sizes) {
  const Attributes along = {{"axis", int64_t{0}}};
  const ValueId starts = b.op("Concat", {sizes.past, b.ints({0})}, along);
  const ValueId rows = b.op("Add", {sizes.past, sizes.queries});
  const ValueId ends = b.op("Concat", {rows, sizes.keys}, along);
  return b.op("Slice", {mask, starts, ends, b.ints({2, 3})});
}

void check_ends(const Builder& b, ValueId mask, const Dim& batch) {
  const Dim& count = b.type(mask).shape->front();
  const bool fits = !count.known() || !batch.known() || count == batch || count == batch * 2;
  TREADLE_CHECK(fits, kInvalidModel, "a mask of shape ", b.type(mask).text(), " for a batch of ",
                batch.text());
}

// A mask of one of the shapes that Attention takes, as numbers to add to [batch, heads, S, T]; not
// valid where it masks nothing.
ValueId padding_bias(Builder& b, const Node& n, ValueId mask, ValueId q, const MaskSizes& sizes) {
  if (!mask.valid()) return {};
  const DType dtype = b.type(q).dtype;
  const size_t rank = known_rank(b, mask);
  TREADLE_CHECK(rank >= 1 && rank <= 4, kInvalidModel, "a mask of shape ", b.type(mask).text());
  if (rank == 2 && b.type(mask).shape->back().is(1)) return {};
  if (rank == 1) check_ends(b, mask, b.type(q).shape->front());
  if (rank == 4) mask = part_of_square(b, mask, sizes);
  const ValueId allowed = rank == 1 ? within_ends(b, mask, sizes)
                                    : b.op("Greater", {mask, b.scalar(b.type(mask).dtype, 0)});
  const float filter = n.attributes.f("mask_filter_value", -10000.0F);
  const ValueId bias =
      b.op("Where", {allowed, b.scalar(dtype, 0), b.scalar(dtype, static_cast<double>(filter))});
  if (rank == 4) return bias;
  return b.op("Unsqueeze", {bias, rank == 3 ? b.ints({1}) : b.ints({1, 2})});
}

ValueId sum_of_present(Builder& b, ValueId x, ValueId y) {
  return x.valid() && y.valid() ? b.op("Add", {x, y}) : x.valid() ? x : y;
}

// Query, key and value with heads apart, and what else the operators have in common.
struct Parts {
  ValueId q, k, v;  // keys and values of the past included
  ValueId mask, bias;
  ValueId past;  // its length, a vector of one element
};

Attended attend_masked(Builder& b, const Node& n, const Parts& p) {
  const MaskSizes sizes{size_of(b, p.q, 0), size_of(b, p.q, 2), size_of(b, p.k, 2), p.past};
  const int64_t heads = n.attributes.i("num_heads", 0);
  Attending a{.q = p.q, .k = p.k, .v = p.v, .heads = heads, .key_heads = heads};
  a.scale = n.attributes.f("scale", 0);
  a.bias = sum_of_present(b, padding_bias(b, n, p.mask, p.q, sizes), p.bias);
  if (n.attributes.i("unidirectional", 0) != 0)
    a.allowed = causal_mask(b, sizes.queries, sizes.keys, sizes.past);
  return attend(b, a);
}

ValueId joined(Builder& b, ValueId past, ValueId fresh) {
  return past.valid() ? b.op("Concat", {past, fresh}, {{"axis", int64_t{2}}}) : fresh;
}

ValueId past_length(Builder& b, ValueId past) {
  return past.valid() ? size_of(b, past, 2) : b.ints({0});
}

// ---- Attention, QAttention

void check_plain(const Node& n) {
  for (const char* name : {"do_rotary", "past_present_share_buffer"}) {
    TREADLE_CHECK(n.attributes.i(name, 0) == 0, kUnsupported, "attribute '", name, "' is set");
  }
}

// From the projected input [batch, S, queries | keys | values]; `past` holds keys and values.
Values attend_projected(Builder& b, const Node& n, ValueId projected, ValueId past,
                        const Parts& given) {
  check_plain(n);
  const int64_t heads = n.attributes.i("num_heads", 0);
  std::vector<int64_t> widths = n.attributes.ints("qkv_hidden_sizes");
  if (widths.empty()) widths.assign(3, known_size(b, projected, -1) / 3);
  TREADLE_CHECK(widths.size() == 3, kInvalidModel, "qkv_hidden_sizes has ", widths.size(),
                " elements, expected 3");
  const Values qkv = split_last(b, projected, widths);
  Parts p = given;
  ValueId past_k;
  ValueId past_v;
  if (past.valid()) {
    past_k = b.op("Gather", {past, b.scalar(DType::kInt64, 0)});
    past_v = b.op("Gather", {past, b.scalar(DType::kInt64, 1)});
  }
  p.q = split_heads(b, qkv[0], heads);
  p.k = joined(b, past_k, split_heads(b, qkv[1], heads));
  p.v = joined(b, past_v, split_heads(b, qkv[2], heads));
  p.past = past_length(b, past_k);
  Values outputs = {join_heads(b, attend_masked(b, n, p).y)};
  if (n.outputs.size() > 1) {
    const ValueId axis = b.ints({0});
    outputs.push_back(b.op("Concat",
                           {b.op("Unsqueeze", {p.k, axis}), b.op("Unsqueeze", {p.v, axis})},
                           {{"axis", int64_t{0}}}));
  }
  return outputs;
}

Values attention(Builder& b, const Node& n) {
  ValueId projected = b.op("MatMul", {n.input(0), n.input(1)});
  if (n.input(2).valid()) projected = b.op("Add", {projected, n.input(2)});
  Parts given;
  given.mask = n.input(3);
  given.bias = n.input(5);
  return attend_projected(b, n, projected, n.input(4), given);
}

Values quantized_attention(Builder& b, const Node& n) {
  const ValueId projected = scaled_product(
      b, {n.input(0), n.input(1), n.input(3), n.input(4), n.input(6), n.input(7), n.input(2)});
  Parts given;
  given.mask = n.input(5);
  return attend_projected(b, n, projected, n.input(8), given);
}

// [2, batch, heads, past and new, size] of keys and values.
void infer_projected(InferContext& c, size_t past) {
  const Shape& x = c.shape(0);
  TREADLE_CHECK(x.size() == 3 && c.rank(1) == 2, kInvalidModel, "the input has shape ",
                shape_text(x), " and the weights ", shape_text(c.shape(1)),
                ", expected rank 3 and 2");
  const std::vector<int64_t> widths = c.attributes().ints("qkv_hidden_sizes");
  const Dim third = Dim::floor_div(c.shape(1)[1], 3);
  c.set_shape(0, {x[0], x[1], widths.size() == 3 ? Dim(widths[2]) : third});
  const int64_t heads = c.attributes().i("num_heads", 0);
  TREADLE_CHECK(heads > 0, kInvalidModel, "num_heads is ", heads);
  const Dim width = widths.size() == 3 ? Dim(widths[0]) : third;
  Dim length = x[1];
  if (c.has(past)) {
    TREADLE_CHECK(c.rank(past) == 5, kInvalidModel, "the past has shape ",
                  shape_text(c.shape(past)), ", expected rank 5");
    length = length + c.shape(past)[3];
  }
  c.set_shape(1, {2, x[0], heads, length, Dim::floor_div(width, heads)});
}
void infer_attention(InferContext& c) { infer_projected(c, 4); }
void infer_quantized_attention(InferContext& c) { infer_projected(c, 8); }

// ---- MultiHeadAttention

enum MultiHeadInput : size_t {
  kQuery,
  kKey,
  kValue,
  kBias,
  kPaddingMask,
  kScoreBias,
  kPastKey,
  kPastValue,
  kPastLength,
  kCacheIndirection
};

// Part `i` of a packed [batch, S, heads, parts, size], heads apart.
ValueId packed_part(Builder& b, ValueId packed, int64_t i) {
  const ValueId rows = b.op("Gather", {packed, b.scalar(DType::kInt64, static_cast<double>(i))},
                            {{"axis", int64_t{3}}});
  return b.op("Transpose", {rows}, {{"perm", std::vector<int64_t>{0, 2, 1, 3}}});
}

// Query, key and value of this step, heads apart.
Values multi_head_inputs(Builder& b, const Node& n) {
  const int64_t heads = n.attributes.i("num_heads", 0);
  const ValueId q = n.input(kQuery);
  const ValueId k = n.input(kKey);
  if (known_rank(b, q) == 5)
    return {packed_part(b, q, 0), packed_part(b, q, 1), packed_part(b, q, 2)};
  TREADLE_CHECK(k.valid(), kInvalidModel, "the key is missing, and the query is not packed");
  Values parts = {q};
  const bool packed = known_rank(b, k) == 5;
  if (!packed) {
    TREADLE_CHECK(n.input(kValue).valid(), kInvalidModel, "the value is missing");
    parts.insert(parts.end(), {k, n.input(kValue)});
  }
  if (n.input(kBias).valid()) {
    TREADLE_CHECK(!packed, kUnsupported, "a bias with packed keys and values");
    std::vector<int64_t> widths;
    for (ValueId part : parts) widths.push_back(known_size(b, part, -1));
    const Values biases = split_last(b, n.input(kBias), widths);
    for (size_t i = 0; i < parts.size(); ++i) parts[i] = b.op("Add", {parts[i], biases[i]});
  }
  for (ValueId& part : parts) part = split_heads(b, part, heads);
  if (packed) parts.insert(parts.end(), {packed_part(b, k, 0), packed_part(b, k, 1)});
  return parts;
}

Values multi_head_attention(Builder& b, const Node& n) {
  TREADLE_CHECK(!n.input(kPastLength).valid() && !n.input(kCacheIndirection).valid(), kUnsupported,
                "past_sequence_length or cache_indirection is given");
  const Values fresh = multi_head_inputs(b, n);
  Parts p;
  p.q = fresh[0];
  p.k = joined(b, n.input(kPastKey), fresh[1]);
  p.v = joined(b, n.input(kPastValue), fresh[2]);
  p.past = past_length(b, n.input(kPastKey));
  p.mask = n.input(kPaddingMask);
  p.bias = n.input(kScoreBias);
  const Attended done = attend_masked(b, n, p);
  return {join_heads(b, done.y), p.k, p.v, done.scores};
}

// [batch, heads, sequence, size] of part `i` of the query, keys and values.
Shape part_shape(InferContext& c, size_t i) {
  const int64_t heads = c.attributes().i("num_heads", 0);
  TREADLE_CHECK(heads > 0, kInvalidModel, "num_heads is ", heads);
  const Shape& q = c.shape(kQuery);
  const bool packed = q.size() == 5 || (i > 0 && c.rank(kKey) == 5);
  const Shape& x = packed ? (q.size() == 5 ? q : c.shape(kKey)) : c.shape(i);
  if (packed) return {x[0], x[2], x[1], x[4]};
  if (x.size() == 4) return x;
  TREADLE_CHECK(x.size() == 3, kInvalidModel, "input '", c.node().op->input(i).name, "' has shape ",
                shape_text(x), ", expected rank 3");
  return {x[0], heads, x[1], Dim::floor_div(x[2], heads)};
}

void infer_multi_head(InferContext& c) {
  const Shape q = part_shape(c, kQuery);
  Shape k = part_shape(c, kKey);
  Shape v = part_shape(c, kValue);
  for (auto& [past, present] : {std::pair<size_t, Shape*>{kPastKey, &k}, {kPastValue, &v}}) {
    if (!c.has(past)) continue;
    TREADLE_CHECK(c.rank(past) == 4, kInvalidModel, "a past has shape ", shape_text(c.shape(past)),
                  ", expected rank 4");
    (*present)[2] = (*present)[2] + c.shape(past)[2];
  }
  const bool plain = c.rank(kQuery) == 3 && c.has(kValue) && c.rank(kValue) == 3;
  c.set_shape(0, {q[0], q[2], plain ? c.shape(kValue)[2] : v[1] * v[3]});
  c.set_shape(1, k);
  c.set_shape(2, v);
  c.set_shape(3, {q[0], q[1], q[2], k[2]});
}

// ---- RotaryEmbedding

// Positions are given for each token, or that of the first.
Values rotary_embedding(Builder& b, const Node& n) {
  const ValueId x = n.input(0);
  const bool heads_apart = known_rank(b, x) == 4;
  ValueId positions = n.input(1);
  if (known_rank(b, positions) < 2) {
    const ValueId length = size_of(b, x, heads_apart ? 2 : 1);
    const ValueId all = b.op("Concat", {size_of(b, x, 0), length}, {{"axis", int64_t{0}}});
    positions = b.op("Expand", {b.op("Add", {indices_below(b, length), positions}), all});
  }
  Attributes a = attributes_for("RotaryEmbedding", n.attributes);
  if (!heads_apart && a.i("num_heads", 0) == 0) {
    const int64_t size = checked_mul(known_size(b, n.input(2), -1), 2);
    TREADLE_CHECK(size > 0, kInvalidModel, "cos_cache is empty");
    a.set("num_heads", known_size(b, x, -1) / size);
  }
  return {b.op("RotaryEmbedding", {x, n.input(2), n.input(3), positions}, a)};
}

constexpr OpDef row(const char* kind, const char* inputs, const char* outputs, const char* types,
                    const char* attributes) {
  return {.kind = kind,
          .inputs = inputs,
          .outputs = outputs,
          .types = types,
          .attributes = attributes,
          .domain = "com.microsoft"};
}
constexpr OpDef with(OpDef def, InferFn infer, DecomposeFn decompose) {
  def.infer = infer;
  def.decompose = decompose;
  return def;
}

constexpr OpDef kRows[] = {
    with(row("Attention",
             "input:T weights:T bias?:T mask_index?:int32 past?:T attention_bias?:T "
             "past_sequence_length?:int32",
             "output:T present?:T", "T=floats",
             "do_rotary:i=0 mask_filter_value:f=-10000 num_heads:i! past_present_share_buffer:i=0 "
             "qkv_hidden_sizes:is rotary_embedding_dim:i scale:f unidirectional:i=0"),
         infer_attention, attention),
    with(row("QAttention",
             "input:T1 weight:T2 bias:T3 input_scale:T3 weight_scale:T3 mask_index?:int32 "
             "input_zero_point?:T1 weight_zero_point?:T2 past?:T3",
             "output:T3 present?:T3", "T1=int8,uint8 T2=int8,uint8 T3=float,float16",
             "do_rotary:i=0 mask_filter_value:f=-10000 num_heads:i! past_present_share_buffer:i=0 "
             "scale:f unidirectional:i=0"),
         infer_quantized_attention, quantized_attention),
    with(row("MultiHeadAttention",
             "query:T key?:T value?:T bias?:T key_padding_mask?:int32 attention_bias?:T "
             "past_key?:T past_value?:T past_sequence_length?:int32 cache_indirection?:int32",
             "output:T present_key?:T present_value?:T qk?:T", "T=floats",
             "mask_filter_value:f=-10000 num_heads:i! scale:f unidirectional:i=0"),
         infer_multi_head, multi_head_attention),
    with(row("RotaryEmbedding", "input:T position_ids:int64 cos_cache:T sin_cache:T", "output:T",
             "T=floats",
             "interleaved:i=0 is_packed_batching:i=0 num_heads:i=0 rotary_embedding_dim:i=0 "
             "scale:f=1"),
         infer_same_shape, rotary_embedding),
};

}  // namespace

std::span<const OpDef> microsoft_attention_ops() { return kRows; }

}  // namespace treadle

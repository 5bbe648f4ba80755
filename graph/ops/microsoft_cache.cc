// com.microsoft's GroupQueryAttention: causal attention over a cache of keys and values, into which
// it writes this step's, as a graph of standard operators.
#include <algorithm>

#include "graph/ops/attend.h"
#include "graph/ops/families.h"

namespace treadle {
namespace {

using Values = std::vector<ValueId>;

enum Input : size_t {
  kQuery,
  kKey,
  kValue,
  kPastKey,
  kPastValue,
  kLengths,  // of each row's keys, less 1
  kTotal,    // the most of them
  kCos,
  kSin,
  kPositions,
  kBias,
  kSink,
  kKeyScale,
  kValueScale,
  kQueryNorm,
  kKeyNorm
};

struct Heads {
  int64_t query = 0;
  int64_t key = 0;
};

Heads heads_of(const Attributes& a) {
  const Heads h{a.i("num_heads", 0), a.i("kv_num_heads", 0)};
  TREADLE_CHECK(h.query > 0 && h.key > 0 && h.query % h.key == 0, kInvalidModel, "num_heads is ",
                h.query, " and kv_num_heads ", h.key);
  return h;
}

// Heads of query, keys and values side by side.
int64_t packed_heads(const Heads& h) { return checked_add(h.query, checked_mul(2, h.key)); }

void check_supported(const Node& n) {
  const Attributes& a = n.attributes;
  const bool whole = a.s("k_quant_type", "NONE") == "NONE" &&
                     a.s("v_quant_type", "NONE") == "NONE" && !n.input(kKeyScale).valid() &&
                     !n.input(kValueScale).valid();
  TREADLE_CHECK(whole, kUnsupported, "a quantized cache");
  TREADLE_CHECK(a.i("sliding_window_cache", 0) == 0, kUnsupported, "sliding_window_cache is set");
}

// Query, key and value, heads apart; they may be packed side by side.
Values step_inputs(Builder& b, const Node& n, const Heads& h) {
  Values parts = {n.input(kQuery), n.input(kKey), n.input(kValue)};
  if (!parts[1].valid()) {
    const int64_t size = known_size(b, parts[0], -1) / packed_heads(h);
    parts = split_last(b, parts[0], {h.query * size, h.key * size, h.key * size});
  }
  TREADLE_CHECK(parts[2].valid(), kInvalidModel, "the value is missing");
  return {split_heads(b, parts[0], h.query), split_heads(b, parts[1], h.key),
          split_heads(b, parts[2], h.key)};
}

class CachedAttention {
 public:
  CachedAttention(Builder& builder, const Node& node)
      : b_(builder), n_(node), heads_(heads_of(node.attributes)) {
    check_supported(node);
    const Values parts = step_inputs(b_, n_, heads_);
    q_ = parts[0];
    k_ = parts[1];
    v_ = parts[2];
    length_ = size_of(b_, q_, 2);
    total_ = b_.op("Reshape", {cast(b_, n_.input(kTotal), DType::kInt64), b_.ints({1})});
    lengths_ = b_.op(
        "Add", {b_.op("Reshape", {cast(b_, n_.input(kLengths), DType::kInt64), b_.ints({-1})}),
                b_.ints({1})});
    is_prompt_ = b_.op("Equal", {total_, length_});
    past_ = b_.op("Where", {is_prompt_, b_.ints({0}), b_.op("Sub", {lengths_, length_})});
  }

  Values run() {
    normalize();
    rotate();
    k_ = written(k_, n_.input(kPastKey));
    v_ = written(v_, n_.input(kPastValue));
    Attending a{.q = q_, .k = k_, .v = v_, .heads = heads_.query, .key_heads = heads_.key};
    a.scale = n_.attributes.f("scale", 0);
    a.softcap = n_.attributes.f("softcap", 0);
    a.bias = bias();
    a.allowed = allowed();
    a.sink = sink();
    const Attended done = attend(b_, a);
    return {join_heads(b_, done.y), k_, v_, asked_scores(done, a.allowed)};
  }

 private:
  // Before or after the softmax, with columns for this step's keys; before it, 0 where masked.
  ValueId asked_scores(const Attended& done, ValueId allowed) {
    const bool after = n_.attributes.i("qk_output", 0) == 2;
    const ValueId zero = b_.scalar(b_.type(q_).dtype, 0);
    const ValueId all = after ? done.weights : b_.op("Where", {allowed, done.scores, zero});
    return b_.op("Slice", {all, b_.ints({0}), total_, b_.ints({3})});
  }

  ValueId by_row(ValueId x) { return b_.op("Unsqueeze", {x, b_.ints({1})}); }

  // Number of each query's own key, [batch, S].
  ValueId own_keys() { return b_.op("Add", {by_row(past_), indices_below(b_, length_)}); }

  void normalize() {
    const Attributes a = {{"epsilon", n_.attributes.f("qk_norm_epsilon", 1e-6F)}};
    if (n_.input(kQueryNorm).valid()) q_ = b_.op("RMSNormalization", {q_, n_.input(kQueryNorm)}, a);
    if (n_.input(kKeyNorm).valid()) k_ = b_.op("RMSNormalization", {k_, n_.input(kKeyNorm)}, a);
  }

  void rotate() {
    if (n_.attributes.i("do_rotary", 0) == 0) return;
    TREADLE_CHECK(n_.input(kCos).valid() && n_.input(kSin).valid(), kInvalidModel,
                  "do_rotary needs cos_cache and sin_cache");
    const Attributes a = {
        {"interleaved", n_.attributes.i("rotary_interleaved", 0)},
        {"rotary_embedding_dim", checked_mul(known_size(b_, n_.input(kCos), -1), 2)}};
    const ValueId places = positions();
    for (ValueId* x : {&q_, &k_})
      *x = b_.op("RotaryEmbedding", {*x, n_.input(kCos), n_.input(kSin), places}, a);
  }

  // [batch, S]. Of those that are given for a prompt the first one counts, and the others follow.
  ValueId positions() {
    const ValueId given = n_.input(kPositions);
    if (!given.valid()) return own_keys();
    const ValueId all = b_.op("Reshape", {given, b_.ints({-1})});
    const ValueId first = b_.op("Slice", {all, b_.ints({0}), b_.ints({1})});
    const ValueId run = b_.op("Add", {first, indices_below(b_, length_)});
    return b_.op("Where", {is_prompt_, run, given});
  }

  // The cache, made long enough for all keys, with this step's written behind the past.
  ValueId written(ValueId fresh, ValueId past) {
    const ValueId axis = b_.ints({2});
    const ValueId zero = b_.ints({0});
    const ValueId cache = past.valid() ? past : b_.op("Slice", {fresh, zero, zero, axis});
    const ValueId missing = b_.op("Max", {b_.op("Sub", {total_, size_of(b_, cache, 2)}), zero});
    const ValueId pads = b_.op("Concat", {zero, missing}, {{"axis", int64_t{0}}});
    const ValueId room = b_.op("Pad", {cache, pads, ValueId{}, axis});
    return b_.op("TensorScatter", {room, fresh, past_});
  }

  ValueId allowed() {
    const ValueId keys = indices_below(b_, size_of(b_, k_, 2));
    ValueId allowed;
    if (n_.attributes.i("causal", 1) == 0) {
      allowed = by_row(b_.op("Less", {keys, by_row(lengths_)}));
    } else {
      const ValueId own = b_.op("Unsqueeze", {own_keys(), b_.ints({-1})});
      allowed = b_.op("LessOrEqual", {keys, own});
      const int64_t window = n_.attributes.i("local_window_size", -1);
      if (window > 0) {
        const ValueId before = b_.op("Sub", {own, b_.ints({window})});
        allowed = b_.op("And", {allowed, b_.op("Greater", {keys, before})});
      }
    }
    return by_row(allowed);
  }

  // With columns for the whole cache.
  ValueId bias() {
    const ValueId given = n_.input(kBias);
    if (!given.valid()) return {};
    const ValueId zero = b_.ints({0});
    const ValueId missing = b_.op("Sub", {size_of(b_, k_, 2), size_of(b_, given, 3)});
    const ValueId pads = b_.op("Concat", {zero, missing}, {{"axis", int64_t{0}}});
    return b_.op("Pad", {given, pads, ValueId{}, b_.ints({3})});
  }

  ValueId sink() {
    const std::vector<int64_t> shape = {1, -1, 1, 1};
    if (n_.input(kSink).valid()) return b_.op("Reshape", {n_.input(kSink), b_.ints(shape)});
    if (n_.attributes.i("smooth_softmax", 0) == 0) return {};
    return b_.scalar(b_.type(q_).dtype, 0);
  }

  Builder& b_;
  const Node& n_;
  Heads heads_;
  ValueId q_, k_, v_;
  ValueId length_;   // S
  ValueId total_;    // vectors of one element
  ValueId lengths_;  // of each row's keys
  ValueId is_prompt_;
  ValueId past_;  // of each row, or 0 for all
};

Values group_query_attention(Builder& b, const Node& n) { return CachedAttention(b, n).run(); }

void infer_group_query_attention(InferContext& c) {
  const Heads h = heads_of(c.attributes());
  const Shape& q = c.shape(kQuery);
  TREADLE_CHECK(q.size() == 3, kInvalidModel, "the query has shape ", shape_text(q),
                ", expected rank 3");
  const int64_t all = c.has(kKey) ? h.query : packed_heads(h);
  const Dim size = Dim::floor_div(q[2], all);
  c.set_shape(0, {q[0], q[1], c.has(kKey) ? q[2] : size * h.query});
  const Dim total = c.values(kTotal) != nullptr && c.values(kTotal)->size() == 1
                        ? c.values(kTotal)->front()
                        : Dim::unknown();
  Dim keys = total;
  if (c.has(kPastKey)) {
    TREADLE_CHECK(c.rank(kPastKey) == 4, kInvalidModel, "past_key has shape ",
                  shape_text(c.shape(kPastKey)), ", expected rank 4");
    keys = Dim::max(keys, c.shape(kPastKey)[2]);
  }
  const Shape present = {q[0], h.key, keys, size};
  c.set_shape(1, present);
  c.set_shape(2, present);
  c.set_shape(3, {q[0], h.query, q[1], total});
}

constexpr OpDef kRows[] = {
    {.kind = "GroupQueryAttention",
     .inputs = "query:T key?:T value?:T past_key?:T past_value?:T seqlens_k:int32 "
               "total_sequence_length:int32 cos_cache?:T sin_cache?:T position_ids?:int64 "
               "attention_bias?:T head_sink?:T k_scale?:float v_scale?:float q_norm_weight?:T "
               "k_norm_weight?:T",
     .outputs = "output:T present_key?:T present_value?:T output_qk?:T",
     .types = "T=floats",
     .attributes = "causal:i=1 do_rotary:i=0 k_quant_type:s kv_cache_bit_width:i kv_num_heads:i! "
                   "local_window_size:i=-1 num_heads:i! qk_norm_epsilon:f=1e-06 qk_output:i=0 "
                   "rotary_interleaved:i=0 scale:f sliding_window_cache:i=0 smooth_softmax:i=0 "
                   "softcap:f=0 v_quant_type:s",
     .infer = infer_group_query_attention,
     .decompose = group_query_attention,
     .traits = kDataDependent,
     .domain = "com.microsoft"},
};

}  // namespace

std::span<const OpDef> microsoft_cache_ops() { return kRows; }

}  // namespace treadle

// Attention for differentiation: products, masks and a softmax; rotary embeddings likewise.
#include <cmath>
#include <limits>

#include "training/gradients/families.h"

namespace treadle {
namespace {

using Context = GradientContext;

// [batch, heads, sequence, size] of input i, which may be [batch, sequence, heads * size].
Expr with_heads(Context& c, size_t i, const char* heads) {
  const Expr x = c.x(i);
  if (x.rank() == 4) return x;
  return transpose(x.op("Reshape", {c.ints({0, 0, c.attributes().i(heads, 0), -1})}), {0, 2, 1, 3});
}

Expr with_past(Context& c, size_t past, const Expr& fresh) {
  return c.has(past) ? concat({c.x(past), fresh}, 2) : fresh;
}

struct Heads {
  Expr q;        // [batch, key heads, queries' heads of each, queries, size]
  Expr k;        // [batch, key heads, 1, keys, size]
  Expr v;        // [batch, key heads, 1, keys, width]
  Expr scores;   // the shape [batch, heads, queries, keys]
  Expr grouped;  // the same with the heads split
};

// Sizes, folded where they are known.
Expr quotient(const Expr& a, const Expr& b) {
  const Tensor x = a.constant();
  const Tensor y = b.constant();
  if (!x.defined() || !y.defined() || y.to_ints() == std::vector<int64_t>{0}) return a / b;
  return a.ints({x.to_ints()[0] / y.to_ints()[0]});
}

Heads read_heads(const Expr& q, const Expr& k, const Expr& v) {
  const Expr kv = size_of(k, 1);
  const Expr each = quotient(size_of(q, 1), kv);
  const Expr batch = size_of(q, 0);
  const Expr queries = size_of(q, 2);
  const Expr keys = size_of(k, 2);
  return {.q = reshape(q, concat({batch, kv, each, queries, size_of(q, 3)}, 0)),
          .k = unsqueeze(k, {2}),
          .v = unsqueeze(v, {2}),
          .scores = concat({batch, size_of(q, 1), queries, keys}, 0),
          .grouped = concat({batch, kv, each, queries, keys}, 0)};
}

// The scores' factor: as given, or 1 over the root of the heads' size.
Expr scaled(Context& c, const Expr& product, const Expr& q) {
  const Attributes& a = c.attributes();
  const Dim size = q.shape()[3];
  if (a.has("scale")) return product * static_cast<double>(a.f("scale", 1));
  if (size.known()) return product / std::sqrt(static_cast<double>(size.value()));
  return product / cast(scalar(size_of(q, 3)), q.dtype()).op("Sqrt");
}

// ---- Which keys a query may attend to

// Columns are keys j, rows queries i: j - i, where the first query stands at `offset`.
Expr distance(const Expr& q, const Expr& k, const Expr& offset) {
  const Expr rows = unsqueeze(range(size_of(q, 2)), {1}) + offset;
  return range(size_of(k, 2)) - rows;
}

Expr at_most(const Expr& a, int64_t bound) {
  return less(a, a.number(static_cast<double>(bound) + 1));
}

void restrict(Expr& allowed, const Expr& by) {
  allowed = allowed.id().valid() ? both(allowed, by) : by;
}

// Where the first query stands: after the past, or so that the last one meets the last valid key.
Expr first_position(Context& c, const Expr& q) {
  if (c.has(4)) return size_of(c.x(4), 2);
  if (!c.has(6)) return c.ints({0});
  return unsqueeze(c.x(6), {1, 2, 3}) - size_of(q, 2);
}

// bool, broadcast to [batch, heads, queries, keys]; absent where all are allowed.
Expr allowed_keys(Context& c, const Expr& q, const Expr& k) {
  const Attributes& a = c.attributes();
  const int64_t left = a.i("left_window_size", -1);
  const int64_t right = a.i("right_window_size", -1);
  const bool causal = a.i("is_causal", 0) != 0;
  Expr allowed;
  if (c.has(6)) allowed = less(range(size_of(k, 2)), unsqueeze(c.x(6), {1, 2, 3}));
  if (!causal && left < 0 && right < 0) return allowed;
  const Expr ahead = distance(q, k, first_position(c, q));
  if (causal) restrict(allowed, at_most(ahead, 0));
  if (left >= 0) restrict(allowed, at_most(-ahead, left));
  if (right >= 0) restrict(allowed, at_most(ahead, right));
  return allowed;
}

// The mask with a column for each key; what it lacks is forbidden.
Expr whole_mask(Context& c, const Expr& k) {
  const Expr mask = c.x(3);
  const int64_t last = mask.rank() - 1;
  if (mask.shape().back() == k.shape()[2]) return mask;
  std::vector<int64_t> none(static_cast<size_t>(2 * last + 1));
  const Expr pads = concat({c.ints(none), size_of(k, 2) - size_of(mask, last)}, 0);
  const bool boolean = mask.dtype() == DType::kBool;
  const double forbidden = boolean ? 0 : -std::numeric_limits<double>::infinity();
  return mask.op("Pad", {pads, mask.number(forbidden)});
}

// ---- Attention

struct Scores {
  Expr raw;      // before the mask
  Expr masked;   // finite, also where `allowed` is false
  Expr allowed;  // absent: all
};

Scores masked_scores(Context& c, const Expr& raw, const Expr& q, const Expr& k) {
  Scores s{raw, raw, allowed_keys(c, q, k)};
  if (c.has(3)) {
    const Expr mask = whole_mask(c, k);
    if (mask.dtype() == DType::kBool) {
      restrict(s.allowed, mask);
    } else {
      const Expr bias = cast(mask, raw.dtype());
      const Expr forbids = equal(bias, -std::numeric_limits<double>::infinity());
      restrict(s.allowed, forbids.op("Not"));
      s.masked = raw + where(forbids, 0, bias);
    }
  }
  if (s.allowed.id().valid()) {
    const double lowest = raw.dtype() == DType::kFloat16 ? -65504 : -1e30;
    s.masked = where(s.allowed, s.masked, lowest);
  }
  return s;
}

Expr probabilities(Context& c, const Scores& s) {
  const auto precision = static_cast<DType>(c.attributes().i("softmax_precision", 0));
  const bool other = precision != DType::kUndefined && precision != s.masked.dtype();
  const Expr logits = other ? cast(s.masked, precision) : s.masked;
  const Expr softmax = cast(logits.op("Softmax", {{"axis", int64_t{-1}}}), s.masked.dtype());
  return s.allowed.id().valid() ? where(s.allowed, softmax, 0) : softmax;
}

// Output 3, by what the attribute asks for.
Expr shown(Context& c, const Expr& product, const Scores& s, const Expr& weights) {
  switch (c.attributes().i("qk_matmul_output_mode", 0)) {
    case 0: return product;
    case 1: return s.raw;
    case 2:
      if (!s.allowed.id().valid()) return s.masked;
      return where(s.allowed, s.masked, -std::numeric_limits<double>::infinity());
    default: return weights;
  }
}

std::vector<Expr> attention(Context& c) {
  const Attributes& a = c.attributes();
  const Expr q = with_heads(c, 0, "q_num_heads");
  const Expr k = with_past(c, 4, with_heads(c, 1, "kv_num_heads"));
  const Expr v = with_past(c, 5, with_heads(c, 2, "kv_num_heads"));
  const Heads heads = read_heads(q, k, v);
  const Expr product = scaled(c, reshape(matmul(heads.q, swap_last(heads.k)), heads.scores), q);
  const auto cap = static_cast<double>(a.f("softcap", 0));
  const Expr raw = cap > 0 ? (product / cap).op("Tanh") * cap : product;
  const Scores scores = masked_scores(c, raw, q, k);
  const Expr weights = probabilities(c, scores);
  const Expr merged = matmul(reshape(weights, heads.grouped), cast(heads.v, q.dtype()));
  Expr y = reshape(merged, concat({size_of(q, 0), size_of(q, 1), size_of(q, 2), size_of(v, 3)}, 0));
  if (c.x(0).rank() == 3) {
    y = transpose(y, {0, 2, 1, 3}).op("Reshape", {c.ints({0, 0, -1})});
  }
  std::vector<Expr> outputs = {y, k, v};
  if (c.node().output(3).valid()) outputs.push_back(shown(c, product, scores, weights));
  return outputs;
}

// ---- RotaryEmbedding

// The cache's rows as [batch, sequence, pairs], with an axis for the heads.
Expr angles(Context& c, size_t cache, int64_t heads_axis) {
  const Expr rows = c.has(3) ? c.x(cache).op("Gather", {c.x(3)}) : c.x(cache);
  return unsqueeze(rows, {heads_axis});
}

// From `begin` to `end` of axis 3.
Expr cut(const Expr& x, const Expr& begin, const Expr& end) {
  return x.op("Slice", {begin, end, x.ints({3})});
}

std::vector<Expr> rotary(Context& c) {
  const Expr given = c.x(0);
  const bool flat_heads = given.rank() == 3;
  const int64_t heads = c.attributes().i("num_heads", 0);
  const Expr x = flat_heads ? given.op("Reshape", {c.ints({0, 0, heads, -1})}) : given;
  const Expr cos = angles(c, 1, flat_heads ? 2 : 1);
  const Expr sin = angles(c, 2, flat_heads ? 2 : 1);
  const Expr half = size_of(c.x(1), c.x(1).rank() - 1);
  const Expr both = half + half;
  const Expr zero = c.ints({0});
  const Expr turned = cut(x, zero, both);
  const bool interleaved = c.attributes().i("interleaved", 0) != 0;
  const Expr pairs = interleaved ? turned.op("Reshape", {c.ints({0, 0, 0, -1, 2})}) : turned;
  const Expr u = interleaved ? squeeze(slice(pairs, 4, 0, 1), {4}) : cut(pairs, zero, half);
  const Expr v = interleaved ? squeeze(slice(pairs, 4, 1, 2), {4}) : cut(pairs, half, both);
  const Expr first = cos * u - sin * v;
  const Expr second = sin * u + cos * v;
  const Expr rotated =
      interleaved ? reshape_like(concat({unsqueeze(first, {4}), unsqueeze(second, {4})}, 4), turned)
                  : concat({first, second}, 3);
  return {reshape_like(concat({rotated, cut(x, both, c.ints({INT64_MAX}))}, 3), given)};
}

constexpr GradientDef kRules[] = {
    {.kind = "Attention", .parts = attention},
    {.kind = "RotaryEmbedding", .parts = rotary},
};

}  // namespace

std::span<const GradientDef> attention_gradients() { return kRules; }

}  // namespace treadle

#include "graph/ops/attend.h"

#include <cmath>
#include <limits>

namespace treadle {
namespace {

constexpr int64_t kSame = 0;  // in Reshape: as in the input
constexpr int64_t kRest = -1;

double lowest(DType dtype) {
  if (dtype == DType::kFloat16) return -65504;
  if (dtype == DType::kDouble) return std::numeric_limits<double>::lowest();
  // Rounds to a finite number in bfloat16 too.
  return dtype == DType::kBfloat16 ? -3.38e38
                                   : static_cast<double>(std::numeric_limits<float>::lowest());
}

ValueId reshaped(Builder& b, ValueId x, const std::vector<int64_t>& shape) {
  return b.op("Reshape", {x, b.ints(shape)});
}

ValueId middle_swapped(Builder& b, ValueId x) {
  return b.op("Transpose", {x}, {{"perm", std::vector<int64_t>{0, 2, 1, 3}}});
}

// The head size where it is known, so that empty tensors reshape too.
int64_t part(const Builder& b, ValueId x, int64_t heads) {
  const Dim& width = b.type(x).shape->back();
  TREADLE_CHECK(heads > 0 && (!width.known() || width.value() % heads == 0), kInvalidModel,
                b.type(x).text(), " does not split into ", heads, " heads");
  return width.known() ? width.value() / heads : kRest;
}

}  // namespace

ValueId split_heads(Builder& b, ValueId x, int64_t heads) {
  const size_t rank = known_rank(b, x);
  if (rank == 4) return x;
  TREADLE_CHECK(rank == 3, kInvalidModel, "expected rank 3, got ", b.type(x).text());
  return middle_swapped(b, reshaped(b, x, {kSame, kSame, heads, part(b, x, heads)}));
}

ValueId join_heads(Builder& b, ValueId x) {
  const ValueId rows = middle_swapped(b, x);
  const Shape& shape = *b.type(rows).shape;
  const Dim width = shape[2] * shape[3];
  return reshaped(b, rows, {kSame, kSame, width.known() ? width.value() : kRest});
}

Attended attend(Builder& b, const Attending& a) {
  TREADLE_CHECK(a.key_heads > 0 && a.heads % a.key_heads == 0, kInvalidModel, a.heads,
                " heads do not share ", a.key_heads, " key heads evenly");
  const DType dtype = b.type(a.q).dtype;
  const bool grouped = a.heads != a.key_heads;
  // The queries that share a key head become rows of one matrix.
  const auto group = [&](ValueId x) {
    return grouped ? reshaped(b, x, {kSame, a.key_heads, kRest, kSame}) : x;
  };
  const auto ungroup = [&](ValueId x) {
    return grouped ? reshaped(b, x, {kSame, a.heads, kRest, kSame}) : x;
  };
  const double scale = a.scale != 0 ? static_cast<double>(a.scale)
                                    : 1 / std::sqrt(static_cast<double>(known_size(b, a.q, -1)));
  const ValueId keys = b.op("Transpose", {a.k}, {{"perm", std::vector<int64_t>{0, 1, 3, 2}}});
  Attended r;
  r.scores = b.op("Mul", {ungroup(b.op("MatMul", {group(a.q), keys})), b.scalar(dtype, scale)});
  if (a.softcap > 0) {
    const ValueId cap = b.scalar(dtype, static_cast<double>(a.softcap));
    r.scores = b.op("Mul", {b.op("Tanh", {b.op("Div", {r.scores, cap})}), cap});
  }
  if (a.bias.valid()) r.scores = b.op("Add", {r.scores, a.bias});
  if (a.allowed.valid())
    r.scores = b.op("Where", {a.allowed, r.scores, b.scalar(dtype, lowest(dtype))});
  r.weights = r.scores;
  if (a.sink.valid()) {
    const ValueId rows = b.op("Shape", {r.scores}, {{"end", int64_t{-1}}});
    const ValueId shape = b.op("Concat", {rows, b.ints({1})}, {{"axis", int64_t{0}}});
    const ValueId extra = b.op("Expand", {a.sink, shape});
    r.weights = b.op("Concat", {r.weights, extra}, {{"axis", int64_t{-1}}});
  }
  r.weights = b.op("Softmax", {r.weights}, {{"axis", int64_t{-1}}});
  if (a.sink.valid())
    r.weights = b.op("Slice", {r.weights, b.ints({0}), b.ints({-1}), b.ints({-1})});
  r.y = ungroup(b.op("MatMul", {group(r.weights), a.v}));
  return r;
}

ValueId causal_mask(Builder& b, ValueId queries, ValueId keys, ValueId past) {
  const ValueId own = b.op("Add", {indices_below(b, queries), past});
  return b.op("LessOrEqual", {indices_below(b, keys), b.op("Unsqueeze", {own, b.ints({-1})})});
}

}  // namespace treadle

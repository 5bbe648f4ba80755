#include "training/expr.h"

#include <algorithm>
#include <numeric>

#include "training/body.h"

namespace treadle {

Shape Expr::shape() const {
  const Type own = type();
  TREADLE_CHECK(own.shape.has_value(), kUnsupported, "the rank of '",
                builder_->graph().value(id_).name, "' is not known before the run");
  return *own.shape;
}

Tensor Expr::constant() const { return builder_->graph().value(id_).constant; }

Expr Expr::op(std::string_view kind, const std::vector<Expr>& others, Attributes attributes,
              std::string_view domain) const {
  std::vector<ValueId> inputs = {id_};
  for (const Expr& e : others) inputs.push_back(e.id());
  return {*builder_, builder_->op(kind, std::move(inputs), std::move(attributes), domain)};
}

Expr operator+(const Expr& a, const Expr& b) { return a.op("Add", {b}); }
Expr operator-(const Expr& a, const Expr& b) { return a.op("Sub", {b}); }
Expr operator*(const Expr& a, const Expr& b) { return a.op("Mul", {b}); }
Expr operator/(const Expr& a, const Expr& b) { return a.op("Div", {b}); }
Expr operator-(const Expr& a) { return a.op("Neg"); }
Expr less(const Expr& a, const Expr& b) { return a.op("Less", {b}); }
Expr equal(const Expr& a, const Expr& b) { return a.op("Equal", {b}); }
Expr square(const Expr& x) { return x * x; }

Expr where(const Expr& condition, const Expr& a, const Expr& b) {
  return condition.op("Where", {a, b});
}

Expr cast(const Expr& x, DType dtype) {
  if (x.dtype() == dtype) return x;
  return x.op("Cast", {{"to", static_cast<int64_t>(dtype)}});
}

Expr shape_of(const Expr& x) {
  if (x.type().shape) {
    if (const auto dims = concrete(x.shape())) return x.ints(*dims);
  }
  return x.op("Shape");
}

Expr size_of(const Expr& x, int64_t axis) {
  const Dim d = x.shape()[static_cast<size_t>(axis)];
  if (d.known()) return x.ints({d.value()});
  return x.op("Shape", {{"start", axis}, {"end", axis + 1}});
}

Expr count_of(const Expr& x, DType dtype) {
  if (x.type().shape) {
    if (const auto dims = concrete(x.shape())) {
      Builder& b = x.builder();
      return {b, b.scalar(dtype, static_cast<double>(element_count(*dims)))};
    }
  }
  return cast(x.op("Size"), dtype);
}

Expr zeros_like(const Expr& x) {
  switch (x.type().kind) {
    case Type::Kind::kSequence:
      return map_sequences({x}, [](const std::vector<Expr>& e) { return zeros_like(e[0]); });
    case Type::Kind::kOptional: return zeros_like(x.op("OptionalGetElement"));
    default: return expand_like(x.number(0), x);
  }
}

Expr ones_like(const Expr& x) {
  switch (x.type().kind) {
    case Type::Kind::kSequence:
      return map_sequences({x}, [](const std::vector<Expr>& e) { return ones_like(e[0]); });
    case Type::Kind::kOptional: return ones_like(x.op("OptionalGetElement"));
    default: return expand_like(x.number(1), x);
  }
}

Expr reshape(const Expr& x, const Expr& shape) {
  const Tensor known = shape.constant();
  bool no_zero = false;
  if (known.defined()) {
    const std::vector<int64_t> dims = known.to_ints();
    if (x.type().shape && concrete(x.shape()) == dims) return x;
    no_zero = std::ranges::find(dims, 0) == dims.end();
  }
  return x.op("Reshape", {shape}, no_zero ? Attributes{} : Attributes{{"allowzero", int64_t{1}}});
}

namespace {

bool same_shape(const Type& a, const Type& b) {
  return a.shape && b.shape && a.shape->size() == b.shape->size() &&
         std::equal(a.shape->begin(), a.shape->end(), b.shape->begin());
}

// The value, of which it is known that it has this type.
Expr refined(const Expr& x, const Type& type) {
  Type& own = x.builder().graph().value(x.id()).type;
  if (type.shape) own.shape = type.shape;
  return x;
}

}  // namespace

Expr reshape_like(const Expr& x, const Expr& like) {
  if (same_shape(x.type(), like.type())) return x;
  return refined(reshape(x, shape_of(like)), like.type());
}

Expr expand_like(const Expr& x, const Expr& like) {
  if (same_shape(x.type(), like.type())) return x;
  return refined(x.op("Expand", {shape_of(like)}), like.type());
}

Expr sum_to(const Expr& x, const Expr& like) {
  if (same_shape(x.type(), like.type())) return x;
  auto at_run_time = [&] {
    return refined(x.op("SumTo", {shape_of(like)}, {}, "treadle"), like.type());
  };
  if (!x.type().shape || !like.type().shape) return at_run_time();
  const Shape from = x.shape();
  const Shape to = like.shape();
  if (from.size() < to.size()) return at_run_time();  // the axes in front are of size 1
  std::vector<int64_t> added(from.size() - to.size());
  std::iota(added.begin(), added.end(), 0);
  std::vector<int64_t> ones;
  for (size_t i = 0; i < to.size(); ++i) {
    const size_t axis = i + added.size();
    if (from[axis] == to[i]) continue;
    if (!to[i].is(1)) return at_run_time();
    ones.push_back(static_cast<int64_t>(axis));
  }
  Expr result = x;
  if (!ones.empty()) result = sum(result, ones, true);
  if (!added.empty()) result = sum(result, added, false);
  return refined(result, like.type());
}

Expr sum(const Expr& x, const std::vector<int64_t>& axes, bool keep) {
  if (axes.empty()) return x;
  return x.op("ReduceSum", {x.ints(axes)}, {{"keepdims", int64_t{keep ? 1 : 0}}});
}

Expr transpose(const Expr& x, const std::vector<int64_t>& permutation) {
  return x.op("Transpose", {{"perm", permutation}});
}

Expr swap_last(const Expr& x) {
  std::vector<int64_t> permutation(x.shape().size());
  std::iota(permutation.begin(), permutation.end(), 0);
  std::swap(permutation.end()[-1], permutation.end()[-2]);
  return transpose(x, permutation);
}

Expr unsqueeze(const Expr& x, const std::vector<int64_t>& axes) {
  return axes.empty() ? x : x.op("Unsqueeze", {x.ints(axes)});
}
Expr squeeze(const Expr& x, const std::vector<int64_t>& axes) {
  return axes.empty() ? x : x.op("Squeeze", {x.ints(axes)});
}

Expr concat(const std::vector<Expr>& parts, int64_t axis) {
  if (parts.size() == 1) return parts[0];
  std::vector<int64_t> known;
  for (const Expr& part : parts) {
    const Tensor t = part.constant();
    if (!t.defined() || t.dtype() != DType::kInt64 || t.rank() != 1) break;
    const std::vector<int64_t> ints = t.to_ints();
    known.insert(known.end(), ints.begin(), ints.end());
    if (&part == &parts.back()) return part.ints(known);
  }
  return parts[0].op("Concat", {parts.begin() + 1, parts.end()}, {{"axis", axis}});
}

Expr slice(const Expr& x, int64_t axis, int64_t begin, int64_t end) {
  return x.op("Slice", {x.ints({begin}), x.ints({end}), x.ints({axis})});
}

Expr flat(const Expr& x) {
  const bool is_flat = x.type().shape && x.rank() == 1;
  return is_flat ? x : x.op("Reshape", {x.ints({-1})});
}

Expr matmul(const Expr& a, const Expr& b) { return a.op("MatMul", {b}); }
Expr maximum(const Expr& a, const Expr& b) { return a.op("Max", {b}); }
Expr minimum(const Expr& a, const Expr& b) { return a.op("Min", {b}); }
Expr both(const Expr& a, const Expr& b) { return a.op("And", {b}); }
Expr scalar(const Expr& x) { return reshape(x, x.ints({})); }

Expr range(const Expr& count) {
  constexpr int64_t kMost = 1 << 20;  // longer ones are made by the run
  const Tensor known = count.constant();
  if (known.defined() && known.to_ints().at(0) <= kMost) {
    std::vector<int64_t> all(static_cast<size_t>(known.to_ints().at(0)));
    std::iota(all.begin(), all.end(), 0);
    return count.ints(all);
  }
  const Expr zero = count.number(0);
  return cast(zero.op("Range", {scalar(count), count.number(1)}), DType::kInt64);
}

Expr numbered(const Expr& x) {
  Builder& b = x.builder();
  const Expr one = {b, b.scalar(DType::kInt64, 1)};
  const Expr range = one.op("Range", {count_of(x, DType::kInt64) + one, one});
  return reshape_like(range, x);
}

Expr scatter_numbered(const Expr& parts, const Expr& numbers, const Expr& like) {
  const Expr slots = reshape(count_of(like, DType::kInt64), like.ints({1})) + like.ints({1});
  const Expr nothing = parts.number(0).op("Expand", {slots});
  const Expr sums = nothing.op("ScatterElements", {flat(numbers), flat(parts)},
                               {{"axis", int64_t{0}}, {"reduction", "add"}});
  return reshape_like(slice(sums, 0, 1, INT64_MAX), like);
}

}  // namespace treadle

// Formulas over a graph's values: `c.gy() * y * (1 - y)` adds the nodes. What gradients, losses and
// updates are written in. Plain numbers take the dtype of the other operand.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "graph/builder.h"

namespace treadle {

// A value and the builder that adds to its graph; cheap to copy. The builder must outlive it.
class Expr {
 public:
  Expr() = default;
  Expr(Builder& builder, ValueId id) : builder_(&builder), id_(id) {}

  ValueId id() const { return id_; }
  Builder& builder() const { return *builder_; }
  // By value: adding to a graph moves what it holds.
  Type type() const { return builder_->type(id_); }
  DType dtype() const { return type().dtype; }
  // kUnsupported where the rank is not known.
  Shape shape() const;
  int64_t rank() const { return static_cast<int64_t>(shape().size()); }
  // Not defined() where the value is no constant.
  Tensor constant() const;

  // The operator `kind` of this value first, and the others.
  Expr op(std::string_view kind, const std::vector<Expr>& others, Attributes attributes = {},
          std::string_view domain = "") const;
  Expr op(std::string_view kind, Attributes attributes = {}) const {
    return op(kind, {}, std::move(attributes));
  }
  // A scalar of this value's dtype.
  Expr number(double value) const { return {*builder_, builder_->scalar(dtype(), value)}; }
  // An int64 vector in the same graph.
  Expr ints(const std::vector<int64_t>& values) const {
    return {*builder_, builder_->ints(values)};
  }

 private:
  Builder* builder_ = nullptr;
  ValueId id_;
};

// Elementwise, with broadcasting.
Expr operator+(const Expr& a, const Expr& b);
Expr operator-(const Expr& a, const Expr& b);
Expr operator*(const Expr& a, const Expr& b);
Expr operator/(const Expr& a, const Expr& b);
Expr operator-(const Expr& a);
inline Expr operator+(const Expr& a, double b) { return a + a.number(b); }
inline Expr operator+(double a, const Expr& b) { return b.number(a) + b; }
inline Expr operator-(const Expr& a, double b) { return a - a.number(b); }
inline Expr operator-(double a, const Expr& b) { return b.number(a) - b; }
inline Expr operator*(const Expr& a, double b) { return a * a.number(b); }
inline Expr operator*(double a, const Expr& b) { return b.number(a) * b; }
inline Expr operator/(const Expr& a, double b) { return a / a.number(b); }
inline Expr operator/(double a, const Expr& b) { return b.number(a) / b; }
Expr less(const Expr& a, const Expr& b);  // bool
Expr equal(const Expr& a, const Expr& b);
inline Expr less(const Expr& a, double b) { return less(a, a.number(b)); }
inline Expr less(double a, const Expr& b) { return less(b.number(a), b); }
inline Expr equal(const Expr& a, double b) { return equal(a, a.number(b)); }

Expr where(const Expr& condition, const Expr& a, const Expr& b);
inline Expr where(const Expr& condition, const Expr& a, double b) {
  return where(condition, a, a.number(b));
}
inline Expr where(const Expr& condition, double a, const Expr& b) {
  return where(condition, b.number(a), b);
}
Expr cast(const Expr& x, DType dtype);  // x itself where it has the dtype
Expr square(const Expr& x);

// The shape as an int64 vector; a constant where it is known.
Expr shape_of(const Expr& x);
Expr size_of(const Expr& x, int64_t axis);  // int64[1]
Expr count_of(const Expr& x, DType dtype);  // how many elements, as a scalar
Expr zeros_like(const Expr& x);  // of a sequence: a sequence; of an optional: of its element
Expr ones_like(const Expr& x);
Expr reshape(const Expr& x, const Expr& shape);  // sizes of 0 are sizes
Expr reshape_like(const Expr& x, const Expr& like);
Expr expand_like(const Expr& x, const Expr& like);
// Sums over what broadcasting added, so that the result has the shape of `like`, which must
// broadcast to x's shape. Where the shapes do not tell before the run, it is done by
// treadle.SumTo.
Expr sum_to(const Expr& x, const Expr& like);
Expr sum(const Expr& x, const std::vector<int64_t>& axes, bool keep = true);
Expr transpose(const Expr& x, const std::vector<int64_t>& permutation);
Expr swap_last(const Expr& x);  // the last two axes
Expr unsqueeze(const Expr& x, const std::vector<int64_t>& axes);
Expr squeeze(const Expr& x, const std::vector<int64_t>& axes);
Expr concat(const std::vector<Expr>& parts, int64_t axis);
// From `begin` (included) to `end` of one axis, 0 <= axis.
Expr slice(const Expr& x, int64_t axis, int64_t begin, int64_t end);
Expr flat(const Expr& x);
Expr matmul(const Expr& a, const Expr& b);
Expr maximum(const Expr& a, const Expr& b);
Expr minimum(const Expr& a, const Expr& b);
Expr both(const Expr& a, const Expr& b);  // bool
Expr scalar(const Expr& x);               // of a tensor of one element
// [0, 1 … count - 1] of int64, where `count` is one integer.
Expr range(const Expr& count);

// For operators that move elements: `numbered` has x's shape and counts its elements from 1. When
// such an operator is given these numbers instead of x, it yields where each element came from (0:
// from nowhere), and `scatter_numbered` sums what belongs to each element of `like`.
Expr numbered(const Expr& x);
Expr scatter_numbered(const Expr& parts, const Expr& numbers, const Expr& like);

}  // namespace treadle

#include "graph/ops/activation_parts.h"

#include <cmath>
#include <numbers>

namespace treadle {

DType compute_dtype(DType dtype) {
  return dtype == DType::kFloat16 || dtype == DType::kBfloat16 ? DType::kFloat : dtype;
}

ValueId cast_to(Builder& b, ValueId x, DType dtype) {
  if (b.type(x).dtype == dtype) return x;
  return b.op("Cast", {x}, {{"to", static_cast<int64_t>(dtype)}});
}

namespace {

// Formulas over one value in the type that is computed with.
class Parts {
 public:
  Parts(Builder& b, const Node& node)
      : b_(b), given_(b.type(node.input(0)).dtype), x_(cast_to(b, node.input(0), dtype())) {}
  ValueId x() const { return x_; }
  ValueId op(std::string_view kind, std::vector<ValueId> inputs) {
    return b_.op(kind, std::move(inputs));
  }
  ValueId scaled(double factor, ValueId v) { return op("Mul", {v, number(factor)}); }
  ValueId plus(ValueId v, double term) { return op("Add", {v, number(term)}); }
  ValueId over(ValueId v, double divisor) { return op("Div", {v, number(divisor)}); }
  ValueId number(double value) { return b_.scalar(dtype(), value); }
  std::vector<ValueId> result(ValueId y) { return {cast_to(b_, y, given_)}; }

 private:
  DType dtype() const { return compute_dtype(given_); }
  Builder& b_;
  DType given_;
  ValueId x_;
};

}  // namespace

std::vector<ValueId> decompose_gelu(Builder& b, const Node& node) {
  Parts p(b, node);
  ValueId inner;
  if (node.attributes.s("approximate", "none") == "tanh") {
    const ValueId cube = p.op("Mul", {p.op("Mul", {p.scaled(0.044715, p.x()), p.x()}), p.x()});
    inner = p.op("Tanh", {p.scaled(std::sqrt(2 / std::numbers::pi), p.op("Add", {p.x(), cube}))});
  } else {
    inner = p.op("Erf", {p.over(p.x(), std::numbers::sqrt2)});
  }
  return p.result(p.op("Mul", {p.over(p.x(), 2), p.plus(inner, 1)}));
}

std::vector<ValueId> decompose_swish(Builder& b, const Node& node) {
  Parts p(b, node);
  const float alpha = node.attributes.f("alpha", 1);
  const ValueId inner = alpha == 1 ? p.x() : p.scaled(static_cast<double>(alpha), p.x());
  return p.result(p.op("Mul", {p.x(), p.op("Sigmoid", {inner})}));
}

std::vector<ValueId> decompose_hard_swish(Builder& b, const Node& node) {
  Parts p(b, node);
  const ValueId inner = p.op("Clip", {p.plus(p.over(p.x(), 6), 0.5), p.number(0), p.number(1)});
  return p.result(p.op("Mul", {p.x(), inner}));
}

std::vector<ValueId> decompose_mish(Builder& b, const Node& node) {
  Parts p(b, node);
  return p.result(p.op("Mul", {p.x(), p.op("Tanh", {p.op("Softplus", {p.x()})})}));
}

}  // namespace treadle

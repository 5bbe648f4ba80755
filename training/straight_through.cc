#include "training/straight_through.h"

#include <cstring>

#include "graph/ops/op.h"
#include "graph/ops/quantize.h"
#include "training/expr.h"

namespace treadle {
namespace {

// The same bits, and no gradient.
Expr detached(const Expr& x) {
  const DType bits = x.dtype() == DType::kDouble  ? DType::kInt64
                     : x.dtype() == DType::kFloat ? DType::kInt32
                                                  : DType::kInt16;
  const auto as = [](const Expr& v, DType to) {
    return v.op("BitCast", {{"to", static_cast<int64_t>(to)}});
  };
  return as(as(x, bits), x.dtype());
}

bool is_same(const Graph& graph, ValueId a, ValueId b) {
  if (a == b || !a.valid() || !b.valid()) return a == b;
  const Tensor& s = graph.value(a).constant;
  const Tensor& t = graph.value(b).constant;
  return s.defined() && t.defined() && s == t;
}

bool is_range(DType dtype) {
  for (DType d : {DType::kInt8, DType::kUint8, DType::kInt16, DType::kUint16, DType::kInt4,
                  DType::kUint4, DType::kInt2, DType::kUint2}) {
    if (d == dtype) return true;
  }
  return false;
}

bool is_pair(const Graph& graph, const Node& quantize, const Node& dequantize) {
  const Type& x = graph.value(quantize.input(0)).type;
  const Type& scale = graph.value(quantize.input(1)).type;
  const Type& y = graph.value(dequantize.output()).type;
  if (!is_float(x.dtype) || x.dtype != y.dtype || scale.dtype != x.dtype) return false;
  if (!x.shape || !scale.shape || scale.shape->size() > 1) return false;
  if (quantize.attributes.i("block_size", 0) != 0) return false;
  if (quantize.attributes.i("axis", 1) != dequantize.attributes.i("axis", 1)) return false;
  return is_range(graph.value(quantize.output()).type.dtype) &&
         is_same(graph, quantize.input(1), dequantize.input(1)) &&
         is_same(graph, quantize.input(2), dequantize.input(2));
}

// One number, or one an index of the axis, to broadcast along x.
Expr along(const Expr& v, const Expr& x, int64_t axis) {
  if (v.rank() == 0) return v;
  std::vector<int64_t> trailing;
  for (int64_t d = axis < 0 ? axis + x.rank() : axis; d + 1 < x.rank(); ++d) {
    trailing.push_back(static_cast<int64_t>(trailing.size()) + 1);
  }
  return v.shape()[0].is(1) ? scalar(v) : unsqueeze(v, trailing);
}

void pass_straight(Graph& graph, const Node& quantize, const Node& dequantize) {
  Builder b(graph, quantize.name + "/straight/", {quantize.name});
  const ValueId rounded = dequantize.output();
  const int64_t axis = quantize.attributes.i("axis", 1);
  const Expr x(b, quantize.input(0));
  const Expr scale = along(Expr(b, quantize.input(1)), x, axis);
  const Expr steps = x / scale;
  Expr point = steps.op("Round");
  if (quantize.input(2).valid()) {
    point = point + along(cast(Expr(b, quantize.input(2)), x.dtype()), x, axis);
  }
  const QuantRange range = quant_range(graph.value(quantize.output()).type.dtype);
  const Expr inside = both(less(range.low - 0.5, point), less(point, range.high + 0.5));
  const Expr kept = detached(scale) * where(inside, steps, 0);
  const Expr nothing = kept - detached(kept);
  const Expr y(b, rounded);
  const Expr passed = y + nothing;
  graph.replace_uses(rounded, passed.id());
  graph.set_input(graph.value(passed.id()).producer, 0, rounded);
}

}  // namespace

void pass_gradients_straight(Graph& graph) {
  for (NodeId id : graph.topological_order()) {
    const Node dequantize = graph.node(id);
    if (!dequantize.is("DequantizeLinear")) continue;
    const Node* quantize = graph.producer(dequantize.input(0));
    if (quantize == nullptr || !quantize->is("QuantizeLinear")) continue;
    if (is_pair(graph, *quantize, dequantize)) pass_straight(graph, Node(*quantize), dequantize);
  }
}

}  // namespace treadle

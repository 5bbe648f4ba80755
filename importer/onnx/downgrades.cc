#include "importer/onnx/downgrades.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string_view>

#include "graph/builder.h"
#include "graph/ops/op.h"
#include "importer/onnx/words.h"

namespace treadle::onnx {
namespace {

struct Downgrade {
  Graph& graph;
  NodeId id;
  const Node& node() const { return graph.node(id); }
  Attributes& attributes() { return graph.mutable_node(id).attributes; }
  const Tensor* constant(size_t input) const {
    const ValueId v = node().input(input);
    return v.valid() && graph.value(v).is_constant() ? &graph.value(v).constant : nullptr;
  }
  const std::optional<Shape>& shape(size_t input) const {
    return graph.value(node().input(input)).type.shape;
  }
  void drop_input(size_t input) { graph.set_input(id, input, ValueId{}); }
};

// ---- Inputs back to attributes: where they are constant; else the node stays as it is

void ints_to_attribute(Downgrade& d, size_t input, std::string_view name) {
  const Tensor* t = d.constant(input);
  if (t == nullptr) return;
  d.attributes().set(name, t->to_ints());
  d.drop_input(input);
}

void scalar_to_attribute(Downgrade& d, size_t input, std::string_view name) {
  const Tensor* t = d.constant(input);
  if (t == nullptr || t->count() != 1) return;
  d.attributes().set(name, static_cast<float>(t->to_doubles()[0]));
  d.drop_input(input);
}

// Negative axes came with opset 11, so they are counted from the front where the rank is known.
void axes_to_attribute(Downgrade& d) {
  const Tensor* t = d.constant(1);
  if (t == nullptr) return;
  std::vector<int64_t> axes = t->to_ints();
  const bool negative = std::ranges::any_of(axes, [](int64_t a) { return a < 0; });
  if (negative && !d.shape(0)) return;
  if (negative) {
    const bool grows = d.node().op->kind == "Unsqueeze";
    const size_t rank = d.shape(0)->size() + (grows ? axes.size() : 0);
    for (int64_t& a : axes) a = resolve_axis(a, static_cast<int64_t>(rank));
  }
  d.attributes().set("axes", axes);
  d.drop_input(1);
}

void split_to_attribute(Downgrade& d) { ints_to_attribute(d, 1, "split"); }

void reduce_to_attribute(Downgrade& d) {
  const Tensor* axes = d.constant(1);
  if (axes != nullptr && axes->count() == 0) {  // all axes, or none
    if (d.attributes().i("noop_with_empty_axes", 0) != 0) return;
    return d.drop_input(1);
  }
  axes_to_attribute(d);
  if (!d.node().input(1).valid()) d.attributes().erase("noop_with_empty_axes");
}

// Equal parts were always meant where neither sizes nor a number was given.
void split_count(Downgrade& d) {
  const int64_t parts = d.attributes().i("num_outputs", 0);
  const auto& shape = d.shape(0);
  if (parts <= 0 || d.node().input(1).valid() || !shape) return;
  const int64_t axis =
      resolve_axis(d.attributes().i("axis", 0), static_cast<int64_t>(shape->size()));
  const Dim& dim = (*shape)[static_cast<size_t>(axis)];
  if (!dim.known() || dim.value() % parts != 0) return;
  d.attributes().erase("num_outputs");
}

void slice_to_attributes(Downgrade& d) {
  const Tensor* steps = d.constant(4);
  const bool plain =
      !d.node().input(4).valid() ||
      (steps != nullptr && std::ranges::all_of(steps->to_ints(), [](int64_t s) { return s == 1; }));
  const bool fixed = d.constant(1) != nullptr && d.constant(2) != nullptr &&
                     (!d.node().input(3).valid() || d.constant(3) != nullptr);
  if (!plain || !fixed) return;
  ints_to_attribute(d, 1, "starts");
  ints_to_attribute(d, 2, "ends");
  ints_to_attribute(d, 3, "axes");
  if (d.node().input(4).valid()) d.drop_input(4);
}

void pad_to_attributes(Downgrade& d) {
  if (d.node().input(3).valid() || d.constant(1) == nullptr) return;
  if (d.node().input(2).valid() && d.constant(2) == nullptr) return;
  ints_to_attribute(d, 1, "pads");
  scalar_to_attribute(d, 2, "value");
}

void clip_to_attributes(Downgrade& d) {
  scalar_to_attribute(d, 1, "min");
  scalar_to_attribute(d, 2, "max");
}

void dropout_to_attribute(Downgrade& d) {
  const Tensor* training = d.constant(2);
  if (d.node().input(2).valid() &&
      (training == nullptr || training->to_doubles() != std::vector<double>{0}))
    return;
  if (d.node().input(2).valid()) d.drop_input(2);
  scalar_to_attribute(d, 1, "ratio");
}

void topk_to_attribute(Downgrade& d) {
  const Tensor* k = d.constant(1);
  if (k == nullptr || k->count() != 1) return;
  d.attributes().set("k", k->to_ints()[0]);
  d.drop_input(1);
}

// roi and scales were required: an empty tensor is "not given".
void resize_empty_inputs(Downgrade& d) {
  for (size_t i = 1; i <= 2; ++i) {
    if (d.node().input(i).valid()) continue;
    d.graph.set_input(d.id, i, d.graph.add_constant("empty", Tensor(DType::kFloat, {0})));
  }
}

void unit_dilations(Downgrade& d) {
  const auto dilations = d.attributes().ints("dilations");
  if (std::ranges::all_of(dilations, [](int64_t n) { return n == 1; }))
    d.attributes().erase("dilations");
}

void grid_sample_mode(Downgrade& d) {
  const std::string mode = d.attributes().s("mode", "linear");
  if (mode == "linear") d.attributes().set("mode", std::string("bilinear"));
  if (mode == "cubic") d.attributes().set("mode", std::string("bicubic"));
}

// Before opset 13 the default was 1, so the axis is spelled out.
void softmax_axis(Downgrade& d) {
  if (!d.shape(0) || d.shape(0)->empty()) return;
  const auto rank = static_cast<int64_t>(d.shape(0)->size());
  d.attributes().set("axis", resolve_axis(d.attributes().i("axis", -1), rank));
}

void positive_axis(Downgrade& d) {
  const int64_t axis = d.attributes().i("axis", 0);
  if (axis < 0 && d.shape(0)) {
    d.attributes().set("axis", resolve_axis(axis, static_cast<int64_t>(d.shape(0)->size())));
  }
}

// Whether Attention is no more than Softmax(Q·Kᵀ·scale + mask)·V over four dimensions.
bool is_plain_attention(const Downgrade& d) {
  const Node& node = d.node();
  const Attributes& a = node.attributes;
  for (size_t i = 0; i < 3; ++i) {
    if (!d.shape(i) || d.shape(i)->size() != 4) return false;
  }
  const Shape &q = *d.shape(0), &k = *d.shape(1);
  const bool bare = !node.input(4).valid() && !node.input(5).valid() && !node.input(6).valid() &&
                    node.outputs.size() == 1;
  const bool whole = a.i("is_causal", 0) == 0 && a.f("softcap", 0) == 0 &&
                     a.i("left_window_size", -1) < 0 && a.i("right_window_size", -1) < 0;
  // A mask may end before the keys do, and heads may be shared.
  const bool masked = node.input(3).valid();
  const bool fits = !masked || (d.shape(3) && !d.shape(3)->empty() && d.shape(3)->back() == k[2]);
  return bare && whole && fits && q[1] == k[1] && (a.has("scale") || q[3].known());
}

// Rows that the mask leaves nothing of are zeros.
ValueId masked_softmax(Builder& b, ValueId scores, ValueId mask) {
  const DType dtype = b.type(scores).dtype;
  const ValueId lowest = b.scalar(dtype, -std::numeric_limits<double>::infinity());
  scores = b.type(mask).dtype == DType::kBool ? b.op("Where", {mask, scores, lowest})
                                              : b.op("Add", {scores, mask});
  const ValueId p = b.op("Softmax", {scores}, {{"axis", int64_t{-1}}});
  return b.op("Where", {b.op("IsNaN", {p}), b.scalar(dtype, 0), p});
}

void attention_to_products(Downgrade& d) {
  if (!is_plain_attention(d)) return;
  const Node node = d.node();
  Builder b(d.graph, node.name + "/",
            node.origins.empty() ? std::vector<std::string>{node.name} : node.origins);
  const ValueId mask = node.input(3);
  const float scale = node.attributes.has("scale")
                          ? node.attributes.f("scale", 1)
                          : 1 / std::sqrt(static_cast<float>(d.shape(0)->back().value()));
  const ValueId k =
      b.op("Transpose", {node.input(1)}, {{"perm", std::vector<int64_t>{0, 1, 3, 2}}});
  const ValueId factor = b.scalar(b.type(k).dtype, static_cast<double>(scale));
  const ValueId scores = b.op("Mul", {b.op("MatMul", {node.input(0), k}), factor});
  const ValueId p = mask.valid() ? masked_softmax(b, scores, mask)
                                 : b.op("Softmax", {scores}, {{"axis", int64_t{-1}}});
  d.graph.replace_uses(node.output(), b.op("MatMul", {p, node.input(2)}));
  d.graph.remove_node(d.id);
}

struct Step {
  std::string_view kinds;  // separated by spaces
  int64_t below;           // applied for opsets below this one
  void (*apply)(Downgrade&);
};

constexpr Step kSteps[] = {
    {"Attention", 23, attention_to_products},
    {"Split", 18, split_count},
    {"ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd "
     "ReduceSumSquare",
     18, reduce_to_attribute},
    {"GridSample", 20, grid_sample_mode},
    {"Squeeze Unsqueeze", 13, axes_to_attribute},
    {"ReduceSum", 13, reduce_to_attribute},
    {"Split", 13, split_to_attribute},
    {"Softmax LogSoftmax Hardmax", 13, softmax_axis},
    {"Resize", 13, resize_empty_inputs},
    {"AveragePool", 19, unit_dilations},
    {"LpPool", 18, unit_dilations},
    {"MaxPool", 10, unit_dilations},
    {"Dropout", 12, dropout_to_attribute},
    {"Clip", 11, clip_to_attributes},
    {"Pad", 11, pad_to_attributes},
    {"Concat ArgMax ArgMin Flatten", 11, positive_axis},
    {"Slice", 10, slice_to_attributes},
    {"TopK", 10, topk_to_attribute},
};

}  // namespace

void downgrade(Graph& graph, NodeId id, int64_t opset) {
  if (!graph.node(id).op->domain.empty()) return;
  Downgrade d{graph, id};
  for (const Step& step : kSteps) {
    if (!graph.alive(id)) return;
    if (opset < step.below && has_word(step.kinds, graph.node(id).op->kind)) step.apply(d);
  }
}

}  // namespace treadle::onnx

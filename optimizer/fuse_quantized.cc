// Quantized models: a product between DequantizeLinear and QuantizeLinear becomes one of integers,
// and what only moves elements moves the integers.
#include <algorithm>
#include <cmath>

#include "graph/ops/quantize.h"
#include "graph/ops/quantized_inputs.h"
#include "optimizer/activation.h"
#include "optimizer/derived.h"
#include "optimizer/passes.h"

namespace treadle {
namespace {

using namespace quantized;

bool is_byte(DType dtype) { return dtype == DType::kInt8 || dtype == DType::kUint8; }

bool is_single(const Tensor* t) { return t != nullptr && t->count() == 1; }
bool is_single(const Type& type) {
  return type.shape && std::ranges::all_of(*type.shape, [](const Dim& d) { return d.is(1); });
}

bool is_float(const Tensor* t) { return t != nullptr && t->dtype() == DType::kFloat; }

// What QuantizeLinear or DequantizeLinear does with all elements alike.
struct Scaling {
  ValueId integers;
  ValueId scale, zero;  // `zero` may be absent
  float factor = 1;
  double offset = 0;
  bool same_as(const Scaling& other) const {
    return factor == other.factor && offset == other.offset;
  }
};

// Weights of a product: int8 around zero.
struct Weights {
  ValueId integers;
  Tensor shifted;  // where they were uint8 around 128
  ValueId scale;
};

class Fuser {
 public:
  explicit Fuser(Pass& pass) : pass_(pass), graph_(pass.graph) {}

  void run() {
    for_each([&](NodeId id) { split(id); });
    for_each([&](NodeId id) { move(id); });
    for_each([&](NodeId id) { fuse(id); });
    for_each([&](NodeId id) { fuse_dynamic(id); });
    for_each([&](NodeId id) { fuse_sum(id); });
  }

 private:
  template <class F>
  void for_each(const F& f) {
    for (NodeId id : graph_.topological_order()) {
      if (pass_.stopped()) return;
      if (graph_.alive(id)) f(id);
    }
  }

  bool are_constants(const Node& node, std::initializer_list<size_t> inputs) const {
    return std::ranges::all_of(inputs, [&](size_t i) {
      return !node.input(i).valid() || pass_.constant(node.input(i)) != nullptr;
    });
  }

  // ---- What is around a node

  std::optional<Scaling> scaling(const Node& node, ValueId integers) const {
    const Tensor* scale = pass_.constant(node.input(1));
    const Tensor* zero = pass_.constant(node.input(2));
    if (!is_single(scale) || !is_float(scale) || !is_byte(pass_.type(integers).dtype)) return {};
    if (node.input(2).valid() && !is_single(zero)) return {};
    if (node.attributes.i("block_size", 0) != 0 || node.attributes.i("precision", 0) > 1) return {};
    const float factor = scale->data<float>()[0];
    if (!(factor > 0) || !std::isfinite(factor)) return {};
    return Scaling{integers, node.input(1), node.input(2), factor,
                   zero == nullptr ? 0 : quant_values(*zero)[0]};
  }

  std::optional<Scaling> dequantized(ValueId v) const {
    const Node* node = pass_.producer(v, "DequantizeLinear");
    if (node == nullptr || pass_.type(v).dtype != DType::kFloat) return {};
    return scaling(*node, node->input(0));
  }

  // The only reader of the value.
  const Node* reader(ValueId v) const {
    return graph_.has_one_use(v) ? &graph_.node(graph_.value(v).users[0]) : nullptr;
  }

  std::optional<Scaling> quantized(ValueId v) const {
    const Node* node = reader(v);
    if (node == nullptr || !node->is("QuantizeLinear") || node->input(0) != v) return {};
    return scaling(*node, node->output());
  }

  // ---- What moves elements

  void move(NodeId id) {
    constexpr std::string_view kMoves[] = {"Flatten", "MaxPool",   "Reshape",  "Slice",
                                           "Squeeze", "Transpose", "Unsqueeze"};
    const Node& node = graph_.node(id);
    if (!node.op->domain.empty() || std::ranges::find(kMoves, node.op->kind) == std::end(kMoves))
      return;
    if (node.outputs.size() > 1 && node.outputs[1].valid()) return;
    const auto from = dequantized(node.input(0));
    const auto to = from ? quantized(node.output()) : std::nullopt;
    if (!to || !from->same_as(*to) ||
        pass_.type(from->integers).dtype != pass_.type(to->integers).dtype)
      return;
    Patch patch;
    std::vector<ValueId> inputs = node.inputs;
    inputs[0] = from->integers;
    patch.replace(to->integers, patch.op(node.op->kind, inputs, node.attributes));
    pass_.apply(id, std::move(patch));
  }

  // A Concat that is quantized, of dequantized tensors among others: each is quantized before.
  void split(NodeId id) {
    const Node& node = graph_.node(id);
    if (!node.is("Concat")) return;
    const auto y = quantized(node.output());
    if (!y ||
        std::ranges::none_of(node.inputs, [&](ValueId v) { return dequantized(v).has_value(); }))
      return;
    Patch patch;
    std::vector<ValueId> parts;
    for (const ValueId v : node.inputs) {
      const auto x = dequantized(v);
      const bool same =
          x && x->same_as(*y) && pass_.type(x->integers).dtype == pass_.type(y->integers).dtype;
      parts.push_back(same ? x->integers
                           : patch.op("QuantizeLinear", {v, y->scale, y->zero},
                                      reader(node.output())->attributes));
    }
    patch.replace(y->integers, patch.op("Concat", parts, node.attributes));
    pass_.apply(id, std::move(patch));
  }

  // ---- Products

  void fuse(NodeId id) {
    const Node& node = graph_.node(id);
    const bool conv = node.is("Conv"), gemm = node.is("Gemm");
    if (!conv && !gemm && !node.is("MatMul")) return;
    const auto x = dequantized(node.input(0));
    if (!x) return;
    const bool turned = gemm && node.attributes.i("transB", 0) != 0;
    if (gemm && !is_plain(node)) return pass_.refuse(id, "alpha, beta or transA");
    const auto w = weights(node, conv || turned ? 0 : 1);
    if (!w) return pass_.refuse(id, "its weights are not constant int8 around zero");
    const auto bias = constant_bias(node);
    if (!bias) return pass_.refuse(id, "its bias is not constant");
    const ValueId end = after_bounds(node.output());
    const auto y = quantized(end);
    Patch patch;
    std::vector<ValueId> inputs = {x->integers,
                                   w->shifted.defined() ? patch.constant(w->shifted) : w->integers,
                                   bias->defined() ? patch.constant(*bias) : ValueId{},
                                   x->scale,
                                   w->scale,
                                   x->zero};
    if (y) inputs.insert(inputs.end(), {y->scale, y->zero});
    Attributes attributes;
    if (conv) attributes = node.attributes;
    if (turned) attributes.set("transB", int64_t{1});
    patch.replace(
        y ? y->integers : node.output(),
        patch.op(conv ? "QuantizedConv" : "QuantizedMatMul", inputs, attributes, "treadle"));
    pass_.apply(id, std::move(patch));
  }

  // An Add of two dequantized tensors, quantized again, one of them a convolution's that is read
  // nowhere else: the convolution adds the other.
  void fuse_sum(NodeId id) {
    const Node& node = graph_.node(id);
    if (!node.is("Add")) return;
    const auto y = quantized(after_bounds(node.output()));
    if (!y) return;
    for (const size_t side : {0, 1}) {
      const Node* conv = sole_conv(node.input(side));
      const auto other = dequantized(node.input(1 - side));
      if (conv == nullptr || !other) continue;
      const Type& z = pass_.type(other->integers);
      if (!same_type(z, pass_.type(y->integers))) {
        pass_.refuse(id, "what is added is broadcast, or of another type than the sum");
        continue;
      }
      std::vector<ValueId> inputs = conv->inputs;
      inputs.resize(kZ);
      inputs.insert(inputs.end(), {other->integers, other->scale, other->zero, y->scale, y->zero});
      Patch patch;
      patch.replace(y->integers, patch.op("QuantizedConv", inputs, conv->attributes, "treadle"));
      pass_.apply(id, std::move(patch));
      return;
    }
  }

  // The convolution whose integers nothing but `v` reads, which takes them for what they are.
  const Node* sole_conv(ValueId v) const {
    const auto own = dequantized(v);
    if (!own || !graph_.has_one_use(v) || !graph_.has_one_use(own->integers)) return nullptr;
    const Node* conv = pass_.producer(own->integers, "QuantizedConv", "treadle");
    if (conv == nullptr || conv->input(kZ).valid()) return nullptr;
    const Tensor* scale = pass_.constant(conv->input(kYScale));
    const Tensor* zero = pass_.constant(conv->input(kYZero));
    if (!is_single(scale) || (conv->input(kYZero).valid() && !is_single(zero))) return nullptr;
    const bool same = scale->data<float>()[0] == own->factor &&
                      (zero == nullptr ? 0 : quant_values(*zero)[0]) == own->offset;
    return same ? conv : nullptr;
  }

  // MatMulInteger or ConvInteger, its sums as floats, times a scale of the data and those of the
  // weights, plus a bias, and of a matrix product an activation: what is made of data that are
  // quantized in the run.
  void fuse_dynamic(NodeId id) {
    const Node& node = graph_.node(id);
    const bool conv = node.is("ConvInteger");
    if (!conv && !node.is("MatMulInteger")) return;
    const Tensor* w = pass_.constant(node.input(1));
    const Tensor* w_zero = pass_.constant(node.input(3));
    if (w == nullptr || w->dtype() != DType::kInt8 || (conv ? w->rank() < 3 : w->rank() != 2))
      return;
    if (node.input(3).valid() && (w_zero == nullptr || !is_uniform(*w_zero, 0)))
      return pass_.refuse(id, "its weights are not around zero");
    if (node.input(2).valid() && !is_single(pass_.type(node.input(2)))) return;
    const Node* cast = reader(node.output());
    if (cast == nullptr || !cast->is("Cast") || pass_.type(cast->output()).dtype != DType::kFloat)
      return;
    const Node* product = reader(cast->output());
    if (product == nullptr || !product->is("Mul")) return;
    const Outputs outputs =
        conv ? Outputs{w->dim(0), w->rank() - 2, w->rank()} : Outputs{w->dim(1), 0, 1};
    const auto scales = scales_of(*product, cast->output(), outputs);
    if (!scales) return pass_.refuse(id, "its scales are not one of the run and constants");
    Patch patch;
    ValueId end = product->output(), bias;
    if (const Node* sum = reader(end); sum != nullptr && sum->is("Add")) {
      const ValueId other = sum->input(sum->input(0) == end ? 1 : 0);
      if (is_float(pass_.constant(other)) && outputs.have_one_each(*pass_.constant(other))) {
        bias = in_a_row(patch, other);
        end = sum->output();
      }
    }
    Attributes attributes;
    if (conv) {
      attributes = node.attributes;
    } else if (const Node* next = reader(end); next != nullptr) {
      if (const auto activation = activation_of(pass_, *next)) {
        set_activation(attributes, *activation);
        end = next->output();
      }
    }
    patch.replace(end, patch.op(conv ? "QuantizedConv" : "QuantizedMatMul",
                                {node.input(0), node.input(1), bias, scales->data,
                                 in_a_row(patch, scales->weights), node.input(2)},
                                attributes, "treadle"));
    pass_.apply(id, std::move(patch));
  }

  // A constant without its axes of 1.
  ValueId in_a_row(Patch& patch, ValueId constant) const {
    const Tensor& t = *pass_.constant(constant);
    return t.rank() < 2 ? constant : patch.constant(t.reshaped({t.count()}));
  }

  // The outputs of a product: how many, how many axes stand behind theirs, and the rank up to which
  // a tensor of one for each does not add axes.
  struct Outputs {
    int64_t count, behind, rank;
    bool have_one_each(const Tensor& t) const {
      return t.count() == count && t.rank() > behind && t.rank() <= rank &&
             t.dim(t.rank() - 1 - behind) == count;
    }
  };
  struct Scales {
    ValueId data, weights;
  };
  // The other factor of `product` is itself a product of the two.
  std::optional<Scales> scales_of(const Node& product, ValueId sums, const Outputs& outputs) const {
    const Node* both = pass_.producer(product.input(product.input(0) == sums ? 1 : 0), "Mul");
    if (both == nullptr) return {};
    const bool swapped = pass_.constant(both->input(0)) != nullptr;
    const Scales s{both->input(swapped ? 1 : 0), both->input(swapped ? 0 : 1)};
    const Tensor* weights = pass_.constant(s.weights);
    const bool fits = is_float(weights) && weights->rank() <= outputs.rank &&
                      (weights->count() == 1 || outputs.have_one_each(*weights));
    if (!fits || pass_.type(s.data).dtype != DType::kFloat || !is_single(pass_.type(s.data)))
      return {};
    return s;
  }

  static bool is_plain(const Node& gemm) {
    const Attributes& a = gemm.attributes;
    return a.f("alpha", 1) == 1 && a.f("beta", 1) == 1 && a.i("transA", 0) == 0;
  }

  // One scale, or one for each index of the axis of the outputs.
  std::optional<Weights> weights(const Node& product, size_t axis) const {
    const Node* node = pass_.producer(product.input(1), "DequantizeLinear");
    if (node == nullptr || pass_.type(product.input(1)).dtype != DType::kFloat) return {};
    const Tensor* w = pass_.constant(node->input(0));
    const Tensor* scale = pass_.constant(node->input(1));
    const Tensor* zero = pass_.constant(node->input(2));
    if (w == nullptr || !is_float(scale) || (node->input(2).valid() && zero == nullptr)) return {};
    if (!is_byte(w->dtype()) || (!product.is("Conv") && w->rank() != 2) || w->rank() < 2) return {};
    if (scale->count() != 1) {
      const int64_t given = resolve_axis(node->attributes.i("axis", 1), w->rank());
      if (scale->rank() != 1 || static_cast<size_t>(given) != axis ||
          scale->count() != w->dim(axis))
        return {};
    }
    const double middle = w->dtype() == DType::kUint8 ? 128 : 0;
    if (zero == nullptr ? middle != 0 : !is_uniform(*zero, middle)) return {};
    Weights out{node->input(0), {}, node->input(1)};
    if (middle != 0) {
      out.shifted = derived(DType::kInt8, w->dims(), {*w}, put_around_zero);
    }
    return out;
  }

  static void put_around_zero(const std::vector<Tensor>& sources, Tensor& to) {
    const Tensor w = sources[0].resident();
    std::ranges::transform(w.data<uint8_t>(), to.data<int8_t>().begin(),
                           [](uint8_t x) { return static_cast<int8_t>(x - 128); });
  }

  // One float an output; undefined where the product has none, nothing where it is something else.
  std::optional<Tensor> constant_bias(const Node& product) const {
    const ValueId v = product.input(2);
    if (!v.valid()) return Tensor();
    Tensor t;
    if (const Tensor* constant = pass_.constant(v)) {
      t = *constant;
    } else if (const Node* node = pass_.producer(v, "DequantizeLinear");
               node != nullptr && are_constants(*node, {0, 1, 2})) {
      std::vector<Value> inputs;
      for (ValueId i : node->inputs)
        inputs.push_back(i.valid() ? Value(*pass_.constant(i)) : Value());
      std::vector<const Value*> given;
      for (const Value& i : inputs) given.push_back(i.empty() ? nullptr : &i);
      t = evaluate_node(*node, given)[0].tensor();
    }
    const auto& shape = pass_.type(product.output()).shape;
    const size_t axis = product.is("Conv") ? 1 : shape ? shape->size() - 1 : 0;
    if (!t.defined() || t.dtype() != DType::kFloat || !shape || axis >= shape->size() ||
        !(*shape)[axis].is(t.count()) || t.dims().empty() || t.dims().back() != t.count())
      return {};
    return t.reshaped({t.count()});
  }

  // The value behind a Relu or Clip whose bounds the integers of the QuantizeLinear that follows
  // have themselves; else `v`.
  ValueId after_bounds(ValueId v) const {
    const Node* node = reader(v);
    if (node == nullptr || node->input(0) != v) return v;
    std::optional<float> low, high;
    if (node->is("Relu")) {
      low = 0;
    } else if (!node->is("Clip") || !bound(*node, 1, low) || !bound(*node, 2, high)) {
      return v;
    }
    const auto y = quantized(node->output());
    if (!y) return v;
    const QuantRange range = quant_range(pass_.type(y->integers).dtype);
    const auto level = [&](float x) {
      return static_cast<double>(std::nearbyint(x / y->factor)) + y->offset;
    };
    const bool held = (!low || level(*low) <= range.low) && (!high || level(*high) >= range.high);
    return held ? node->output() : v;
  }

  bool bound(const Node& clip, size_t input, std::optional<float>& out) const {
    if (!clip.input(input).valid()) return true;
    const Tensor* t = pass_.constant(clip.input(input));
    if (!is_single(t) || !is_float(t) || std::isnan(t->data<float>()[0])) return false;
    out = t->data<float>()[0];
    return true;
  }

  Pass& pass_;
  Graph& graph_;
};

}  // namespace

void fuse_quantized(Pass& pass) { Fuser(pass).run(); }

}  // namespace treadle

// Conv, Gemm or MatMul with what follows it (bias, one residual of the same shape, one activation)
// becomes one fused operator.
#include <algorithm>

#include "optimizer/activation.h"
#include "optimizer/passes.h"

namespace treadle {
namespace {

// A product and what it has taken in so far.
struct Product {
  NodeId id;
  ValueId value;    // the last value of the chain
  ValueId bias;     // of the graph
  Tensor new_bias;  // or a constant in another shape
  ValueId residual;
  FusedActivation activation;
  float alpha = 1;  // of MatMul
  bool fused = false;
};

class Fuser {
 public:
  explicit Fuser(Pass& pass) : pass_(pass), graph_(pass.graph) {}

  void run() {
    for (NodeId id : graph_.topological_order()) {
      if (pass_.stopped()) return;
      if (!graph_.alive(id)) continue;
      const Node& node = graph_.node(id);
      if (node.is("Conv") || node.is("Gemm") || node.is("MatMul")) fuse(id);
    }
  }

 private:
  void fuse(NodeId id) {
    const Node& node = graph_.node(id);
    // Attributes cannot hold the bounds and factors of doubles.
    const DType dtype = pass_.type(node.output()).dtype;
    if (!kFloats.has(dtype) || dtype == DType::kDouble) return;
    Product p;
    p.id = id;
    p.value = node.output();
    p.bias = node.input(2);
    while (extend(p)) p.fused = true;
    const bool transpose_a = node.is("MatMul") && swaps_last(node.input(0));
    const bool transpose_b = node.is("MatMul") && swaps_last(node.input(1));
    if (!p.fused && !transpose_a && !transpose_b) return;
    Patch patch;
    Attributes attributes = node.attributes;
    std::vector<ValueId> inputs = {node.input(0), node.input(1)};
    if (transpose_a) take_transpose(inputs[0], attributes, "transA");
    if (transpose_b) take_transpose(inputs[1], attributes, "transB");
    if (p.alpha != 1) attributes.set("alpha", p.alpha);
    set_activation(attributes, p.activation);
    const ValueId bias = p.new_bias.defined() ? patch.constant(p.new_bias) : p.bias;
    if (bias.valid() || p.residual.valid()) inputs.push_back(bias);
    if (p.residual.valid()) inputs.push_back(p.residual);
    patch.replace(p.value, patch.op("Fused" + node.op->kind, inputs, attributes, "treadle"));
    pass_.apply(id, std::move(patch));
  }

  // Takes in the only reader of the chain's end, if it fits.
  bool extend(Product& p) {
    if (!p.activation.kind.empty()) return false;
    const auto& users = graph_.value(p.value).users;
    if (graph_.is_output(p.value) || users.empty()) return false;
    const Node& user = graph_.node(users[0]);
    if (users.size() > 1) {
      const bool fits = user.is("Add") || activation_of(pass_, user).has_value();
      if (fits) pass_.refuse(p.id, "its output has several readers");
      return false;
    }
    if (user.is("Add")) return add(p, user);
    if (user.is("Mul") || user.is("Div")) return scale(p, user);
    const auto activation = activation_of(pass_, user);
    if (!activation) return false;
    p.activation = *activation;
    p.value = user.output();
    return true;
  }

  bool add(Product& p, const Node& user) {
    const ValueId other = user.input(user.input(0) == p.value ? 1 : 0);
    if (other == p.value) return false;
    if (!p.bias.valid() && !p.new_bias.defined() && !p.residual.valid()) {
      p.new_bias = as_bias(p, other);
      if (p.new_bias.defined()) {
        p.value = user.output();
        return true;
      }
    }
    if (p.residual.valid()) return false;
    const bool same = same_type(pass_.type(other), pass_.type(p.value)) &&
                      same_type(pass_.type(user.output()), pass_.type(p.value));
    if (!same) {
      pass_.refuse(p.id, cat("cannot add ", pass_.type(other).text(), " to ",
                             pass_.type(p.value).text(), " in one step"));
      return false;
    }
    p.residual = other;
    p.value = user.output();
    return true;
  }

  // A constant with one element a channel, as a vector; undefined when it is something else.
  Tensor as_bias(const Product& p, ValueId other) const {
    const Tensor* t = pass_.constant(other);
    const auto& shape = pass_.type(p.value).shape;
    if (t == nullptr || !shape || shape->empty() ||
        t->rank() > static_cast<int64_t>(shape->size())) {
      return {};
    }
    const Node& product = graph_.node(p.id);
    // Of a matrix times a vector the last axis is rows, not columns.
    if (product.is("MatMul") && pass_.type(product.input(1)).shape->size() < 2) return {};
    const size_t axis = product.is("Conv") ? 1 : shape->size() - 1;
    const size_t offset = shape->size() - t->dims().size();
    for (size_t i = 0; i < t->dims().size(); ++i) {
      const bool channel = i + offset == axis;
      if (channel ? !(*shape)[axis].is(t->dim(i)) : t->dim(i) != 1) return {};
    }
    if (t->dims().size() + axis < shape->size() || !(*shape)[axis].is(t->count())) return {};
    return t->reshaped({t->count()});
  }

  // A number that multiplies or divides a matrix product before anything is added.
  bool scale(Product& p, const Node& user) {
    const bool first = user.input(0) == p.value;
    if (!graph_.node(p.id).is("MatMul") || p.fused || (user.is("Div") && !first)) return false;
    const Tensor* t = pass_.constant(user.input(first ? 1 : 0));
    const auto number = t != nullptr ? scalar_value(*t) : std::nullopt;
    if (!number || *number == 0) return false;
    if (!same_type(pass_.type(user.output()), pass_.type(p.value))) return false;
    p.alpha = static_cast<float>(user.is("Div") ? 1 / *number : *number);
    p.value = user.output();
    return true;
  }

  // Produced by a Transpose of the last two dimensions that nobody else reads.
  bool swaps_last(ValueId value) const {
    const Node* node = pass_.producer(value, "Transpose");
    if (node == nullptr || !graph_.has_one_use(value)) return false;
    const std::vector<int64_t> perm = node->attributes.ints("perm");
    const size_t rank = perm.size();
    if (rank < 2) return false;
    for (size_t i = 0; i + 2 < rank; ++i) {
      if (perm[i] != static_cast<int64_t>(i)) return false;
    }
    return perm[rank - 2] == static_cast<int64_t>(rank - 1);
  }

  void take_transpose(ValueId& input, Attributes& attributes, std::string_view name) const {
    input = graph_.producer(input)->input(0);
    attributes.set(name, int64_t{1});
  }

  Pass& pass_;
  Graph& graph_;
};

}  // namespace

void fuse_epilogue(Pass& pass) { Fuser(pass).run(); }

}  // namespace treadle

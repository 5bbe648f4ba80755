// MatMul(Q, Kᵀ) · scale (+ mask) → Softmax → MatMul(·, V), as exporters write it, becomes ONNX's
// Attention over Q, K, V of rank 4. A guard that turns rows of NaN into zeros is absorbed:
// Attention gives zeros for fully masked rows.
#include <cmath>

#include "optimizer/passes.h"

namespace treadle {
namespace {

// What was found walking up from the last MatMul.
struct Parts {
  ValueId q, k, v, mask;
  bool k_transposed = false;  // `k` still has head size before length
  double scale = 1;
};

class Finder {
 public:
  Finder(Pass& pass, NodeId root) : pass_(pass), graph_(pass.graph), root_(root) {}

  bool find(Parts& parts) {
    const Node& last = graph_.node(root_);
    parts.v = last.input(1);
    ValueId at = last.input(0);
    if (!step_over_guard(at)) return false;
    // The guard has made sure that nobody else reads what it guards.
    const bool guarded = at != last.input(0);
    const Node* softmax = guarded ? pass_.producer(at, "Softmax") : inner(at, "Softmax");
    if (softmax == nullptr || !over_last(*softmax)) return false;
    at = softmax->input(0);
    take_mask(at, parts);
    parts.scale *= take_scale(at);
    const Node* scores = inner(at, "MatMul");
    if (scores == nullptr) return false;
    parts.q = scores->input(0);
    parts.k = scores->input(1);
    parts.scale *= take_scale(parts.q);
    parts.scale *= take_scale(parts.k);
    parts.k_transposed = !untranspose(parts.k);
    if (!parts.k_transposed) parts.scale *= take_scale(parts.k);
    return is_4d(parts.q) && is_4d(parts.k) && is_4d(parts.v) && parts.scale > 0 &&
           same_heads(parts) && mask_fits(parts);
  }

 private:
  const Shape* shape(ValueId v) const {
    const auto& s = pass_.type(v).shape;
    return s ? &*s : nullptr;
  }
  bool is_4d(ValueId v) const {
    const Shape* s = shape(v);
    return s != nullptr && s->size() == 4;
  }
  // Attention takes a mask that is shorter than the keys for one that ends early.
  bool mask_fits(const Parts& p) const {
    if (!p.mask.valid()) return true;
    const Shape& mask = *shape(p.mask);
    const Dim& length = (*shape(p.k))[p.k_transposed ? 3 : 2];
    return !mask.empty() && mask.size() <= 4 && mask.back() == length;
  }
  // Attention broadcasts neither batch nor heads as MatMul does.
  bool same_heads(const Parts& p) const {
    const Shape &q = *shape(p.q), &k = *shape(p.k), &v = *shape(p.v);
    return q[0] == k[0] && q[0] == v[0] && q[1] == k[1] && q[1] == v[1];
  }

  // The producer, when nobody else reads the value.
  const Node* inner(ValueId value, std::string_view kind) const {
    if (!graph_.has_one_use(value)) return nullptr;
    return pass_.producer(value, kind);
  }

  bool over_last(const Node& softmax) const {
    const Shape* s = shape(softmax.output());
    const int64_t axis = softmax.attributes.i("axis", -1);
    return axis == -1 || (s != nullptr && axis == static_cast<int64_t>(s->size()) - 1);
  }

  // Where(IsNaN(p), 0, p) → p.
  bool step_over_guard(ValueId& at) const {
    const Node* where = pass_.producer(at, "Where");
    if (where == nullptr) return true;
    if (!graph_.has_one_use(at)) return false;
    const Node* is_nan = pass_.producer(where->input(0), "IsNaN");
    const Tensor* zero = pass_.constant(where->input(1));
    const ValueId p = where->input(2);
    const bool fits = is_nan != nullptr && is_nan->input(0) == p && zero != nullptr &&
                      is_uniform(*zero, 0) && graph_.value(p).users.size() == 2 &&
                      !graph_.is_output(p) && graph_.has_one_use(where->input(0));
    if (!fits) return false;
    at = p;
    return true;
  }

  void take_mask(ValueId& at, Parts& parts) const {
    const Node* add = inner(at, "Add");
    if (add == nullptr) return;
    for (size_t i = 0; i < 2; ++i) {
      const ValueId scores = add->input(i), mask = add->input(1 - i);
      if (!leads_to_scores(scores) || !shape(mask)) continue;
      if (!same_type(pass_.type(scores), pass_.type(add->output()))) continue;
      parts.mask = mask;
      at = scores;
      return;
    }
  }

  bool leads_to_scores(ValueId value) const {
    ValueId at = value;
    take_scale(at);
    return inner(at, "MatMul") != nullptr;
  }

  // Steps over a multiplication or division by a number; the factor.
  double take_scale(ValueId& at) const {
    const Node* node = graph_.producer(at);
    if (node == nullptr || (!node->is("Mul") && !node->is("Div"))) return 1;
    if (!graph_.has_one_use(at)) return 1;
    for (size_t i = 0; i < 2; ++i) {
      if (node->is("Div") && i == 1) break;
      const Tensor* t = pass_.constant(node->input(1 - i));
      const auto number = t != nullptr ? scalar_value(*t) : std::nullopt;
      if (!number || *number <= 0) continue;
      if (!same_type(pass_.type(node->input(i)), pass_.type(node->output()))) continue;
      at = node->input(i);
      return node->is("Div") ? 1 / *number : *number;
    }
    return 1;
  }

  // Steps over a Transpose of the last two dimensions.
  bool untranspose(ValueId& k) const {
    const Node* node = pass_.producer(k, "Transpose");
    if (node == nullptr || node->attributes.ints("perm") != std::vector<int64_t>{0, 1, 3, 2}) {
      return false;
    }
    k = node->input(0);
    return true;
  }

  Pass& pass_;
  Graph& graph_;
  NodeId root_;
};

// K from Kᵀ: a Transpose that composes with the one that made Kᵀ.
ValueId transposed(const Pass& pass, Patch& patch, ValueId k) {
  if (const Node* node = pass.producer(k, "Transpose")) {
    std::vector<int64_t> perm = node->attributes.ints("perm");
    if (perm.size() == 4) {
      std::swap(perm[2], perm[3]);
      return patch.op("Transpose", {node->input(0)}, {{"perm", perm}});
    }
  }
  return patch.op("Transpose", {k}, {{"perm", std::vector<int64_t>{0, 1, 3, 2}}});
}

void fuse(Pass& pass, NodeId id) {
  Parts parts;
  if (!Finder(pass, id).find(parts)) return;
  Patch patch;
  if (parts.k_transposed) {
    const auto& k = *pass.type(parts.k).shape;
    const auto& q = *pass.type(parts.q).shape;
    if (!(k[2] == q[3])) return;
    parts.k = transposed(pass, patch, parts.k);
  }
  std::vector<ValueId> inputs = {parts.q, parts.k, parts.v};
  if (parts.mask.valid()) inputs.push_back(parts.mask);
  patch.replace(pass.graph.node(id).output(),
                patch.op("Attention", inputs, {{"scale", static_cast<float>(parts.scale)}}));
  pass.apply(id, std::move(patch));
}

}  // namespace

void fuse_attention(Pass& pass) {
  for (NodeId id : pass.graph.topological_order()) {
    if (pass.stopped()) return;
    if (!pass.graph.alive(id)) continue;
    const Node& node = pass.graph.node(id);
    // No backend has a kernel for other floats; taken apart they run faster than on the reference.
    if (node.is("MatMul") && pass.type(node.output()).dtype == DType::kFloat) fuse(pass, id);
  }
}

}  // namespace treadle

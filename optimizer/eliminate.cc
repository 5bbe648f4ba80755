// Removes nodes that pass an input on unchanged: Identity, Dropout at inference, x + 0, Cast to the
// same type, Slice of everything…
#include <algorithm>

#include "optimizer/passes.h"

namespace treadle {
namespace {

// Which value the node's first output equals; invalid when none.
using Rule = ValueId (*)(const Pass&, const Node&);

bool unchanged(const Pass& p, const Node& n) {
  return same_type(p.type(n.input(0)), p.type(n.output()));
}

bool is_const(const Pass& p, ValueId v, double value) {
  const Tensor* t = p.constant(v);
  return t != nullptr && is_uniform(*t, value);
}

ValueId pass_on(const Pass&, const Node& n) { return n.input(0); }

ValueId dropout(const Pass& p, const Node& n) {
  const bool mask_read = n.output(1).valid() && (!p.graph.value(n.output(1)).users.empty() ||
                                                 p.graph.is_output(n.output(1)));
  const Tensor* training = p.constant(n.input(2));
  const bool inference =
      !n.input(2).valid() || (training != nullptr && training->dtype() == DType::kBool &&
                              training->count() == 1 && !training->data<bool>()[0]);
  return !mask_read && inference ? n.input(0) : ValueId{};
}

ValueId cast(const Pass& p, const Node& n) {
  const Type& x = p.type(n.input(0));
  const bool same = x.is_tensor() && x.dtype != DType::kUndefined &&
                    static_cast<int64_t>(x.dtype) == n.attributes.i("to", 0);
  return same ? n.input(0) : ValueId{};
}

ValueId reshape(const Pass& p, const Node& n) { return unchanged(p, n) ? n.input(0) : ValueId{}; }

ValueId transpose(const Pass& p, const Node& n) {
  const auto& shape = p.type(n.input(0)).shape;
  if (!shape) return {};
  std::vector<int64_t> perm = n.attributes.ints("perm");
  if (perm.empty()) return shape->size() <= 1 ? n.input(0) : ValueId{};
  return std::is_sorted(perm.begin(), perm.end()) ? n.input(0) : ValueId{};
}

ValueId slice(const Pass& p, const Node& n) {
  const bool forward = !n.input(4).valid() || is_const(p, n.input(4), 1);
  return forward && unchanged(p, n) ? n.input(0) : ValueId{};
}

ValueId pad(const Pass& p, const Node& n) {
  return is_const(p, n.input(1), 0) ? n.input(0) : ValueId{};
}

// Concat, Sum, Max, Min, Mean of one.
ValueId only_one(const Pass&, const Node& n) {
  return n.inputs.size() == 1 ? n.input(0) : ValueId{};
}

ValueId split(const Pass& p, const Node& n) {
  return n.outputs.size() == 1 && unchanged(p, n) ? n.input(0) : ValueId{};
}

ValueId tile(const Pass& p, const Node& n) {
  return is_const(p, n.input(1), 1) ? n.input(0) : ValueId{};
}

// Output sizes equal to the input's make every interpolation the identity, scales only when they
// are 1.
ValueId resize(const Pass& p, const Node& n) {
  if (n.attributes.s("coordinate_transformation_mode", "") == "tf_crop_and_resize") return {};
  const bool by_sizes = n.input(3).valid();
  if (!by_sizes && !is_const(p, n.input(2), 1)) return {};
  return unchanged(p, n) ? n.input(0) : ValueId{};
}

// The operand that is not the neutral element, when the result has its type.
ValueId neutral(const Pass& p, const Node& n, double element, bool either_side) {
  for (size_t i = 0; i < 2; ++i) {
    if (i == 1 && !either_side) break;
    const ValueId x = n.input(i);
    if (is_const(p, n.input(1 - i), element) && same_type(p.type(x), p.type(n.output()))) return x;
  }
  return {};
}
ValueId add(const Pass& p, const Node& n) { return neutral(p, n, 0, true); }
ValueId sub(const Pass& p, const Node& n) { return neutral(p, n, 0, false); }
ValueId mul(const Pass& p, const Node& n) { return neutral(p, n, 1, true); }
ValueId div(const Pass& p, const Node& n) { return neutral(p, n, 1, false); }

// Applied twice it gives its input back.
ValueId involution(const Pass& p, const Node& n) {
  const Node* inner = p.graph.producer(n.input(0));
  return inner != nullptr && inner->op->id == n.op->id ? inner->input(0) : ValueId{};
}

// Applied twice it does no more than once.
ValueId idempotent(const Pass& p, const Node& n) {
  const Node* inner = p.graph.producer(n.input(0));
  return inner != nullptr && inner->op->id == n.op->id ? n.input(0) : ValueId{};
}

ValueId clip(const Pass&, const Node& n) {
  return !n.input(1).valid() && !n.input(2).valid() ? n.input(0) : ValueId{};
}

ValueId where(const Pass& p, const Node& n) {
  const Tensor* condition = p.constant(n.input(0));
  if (condition == nullptr || condition->dtype() != DType::kBool || condition->count() == 0) {
    return {};
  }
  const auto elements = condition->data<bool>();
  const bool first = elements[0];
  if (std::any_of(elements.begin(), elements.end(), [&](bool b) { return b != first; })) return {};
  const ValueId chosen = n.input(first ? 1 : 2);
  return same_type(p.type(chosen), p.type(n.output())) ? chosen : ValueId{};
}

constexpr struct {
  std::string_view kind;
  Rule rule;
} kRules[] = {
    {"Identity", pass_on},  {"Dropout", dropout}, {"Cast", cast},
    {"Reshape", reshape},   {"Flatten", reshape}, {"Squeeze", reshape},
    {"Unsqueeze", reshape}, {"Expand", reshape},  {"Transpose", transpose},
    {"Slice", slice},       {"Pad", pad},         {"Concat", only_one},
    {"Sum", only_one},      {"Max", only_one},    {"Min", only_one},
    {"Mean", only_one},     {"Split", split},     {"Tile", tile},
    {"Resize", resize},     {"Add", add},         {"Sub", sub},
    {"Mul", mul},           {"Div", div},         {"Pow", div},
    {"Neg", involution},    {"Not", involution},  {"Relu", idempotent},
    {"Abs", idempotent},    {"Ceil", idempotent}, {"Floor", idempotent},
    {"Round", idempotent},  {"Sign", idempotent}, {"Clip", clip},
    {"Where", where},
};

// A conversion that loses nothing, so that one after it sees the original numbers.
bool is_lossless(DType from, DType to) {
  const auto one_of = [](DType d, std::initializer_list<DType> list) {
    return DTypeSet(list).has(d);
  };
  if (from == DType::kBool) return kNumbers.has(to);
  if (from == DType::kFloat16 || from == DType::kBfloat16) {
    return one_of(to, {DType::kFloat, DType::kDouble});
  }
  if (from == DType::kFloat) return to == DType::kDouble;
  if (!kIntegers.has(from)) return false;
  if (kIntegers.has(to)) {
    const bool wider = dtype_bits(to) > dtype_bits(from);
    return kSigned.has(from) ? kSigned.has(to) && wider : wider;
  }
  return (to == DType::kDouble && dtype_bits(from) <= 32) ||
         (to == DType::kFloat && dtype_bits(from) <= 16);
}

// Cast after a lossless Cast reads what that one read.
void shorten_casts(Pass& pass, NodeId id) {
  const Node& outer = pass.graph.node(id);
  const Node* inner = pass.producer(outer.input(0), "Cast");
  if (inner == nullptr) return;
  const DType from = pass.type(inner->input(0)).dtype;
  if (!is_lossless(from, pass.type(inner->output()).dtype)) return;
  Patch patch;
  const bool back = pass.type(outer.output()).dtype == from;
  patch.replace(outer.output(),
                back ? inner->input(0) : patch.op("Cast", {inner->input(0)}, outer.attributes));
  pass.apply(id, std::move(patch));
}

}  // namespace

void eliminate(Pass& pass) {
  for (NodeId id : pass.graph.topological_order()) {
    if (!pass.graph.alive(id)) continue;
    const Node& node = pass.graph.node(id);
    if (!node.op->domain.empty() || !node.output().valid()) continue;
    for (const auto& [kind, rule] : kRules) {
      if (node.op->kind != kind) continue;
      const ValueId same = rule(pass, node);
      if (same.valid()) pass.replace(id, node.output(), same);
      break;
    }
    if (pass.graph.alive(id) && pass.graph.node(id).is("Cast")) shorten_casts(pass, id);
  }
}

}  // namespace treadle

#include "training/gradient.h"

#include <algorithm>
#include <unordered_map>

#include "training/autodiff.h"
#include "training/gradients/families.h"

namespace treadle {
namespace {

using Table = std::unordered_map<uint32_t, const GradientDef*>;

const Table& table() {
  static const Table instance = [] {
    Table defs;
    for (const std::span<const GradientDef>& family : gradient_families()) {
      for (const GradientDef& def : family) {
        const Op* op = find_op(def.kind, def.domain);
        TREADLE_CHECK(op != nullptr, kInternal, "a gradient for the unknown operator ", def.kind);
        TREADLE_CHECK(defs.emplace(op->id, &def).second, kInternal, "operator ", op->full_name(),
                      " has two gradients");
      }
    }
    return defs;
  }();
  return instance;
}

bool takes_floats(const std::vector<Param>& params) {
  return std::ranges::any_of(
      params, [](const Param& p) { return p.any || (p.allowed.mask & kFloats.mask) != 0; });
}

}  // namespace

GradientSupport gradient_support(const Op& op) {
  const auto it = table().find(op.id);
  const bool bodies =
      std::ranges::any_of(op.attributes, [](const AttributeDef& a) { return a.kind == "g"; });
  if (it != table().end()) {
    const GradientDef& def = *it->second;
    if (def.parts != nullptr) return {GradientKind::kDecomposed, &def};
    if (def.fn != nullptr) return {GradientKind::kDifferentiated, &def};
    return {def.refused != nullptr ? GradientKind::kRefused : GradientKind::kZero, &def};
  }
  if (!bodies && (!takes_floats(op.inputs) || !takes_floats(op.outputs))) {
    return {GradientKind::kZero};
  }
  return {op.decompose != nullptr ? GradientKind::kDecomposed : GradientKind::kMissing};
}

bool is_smooth(const Type& type) {
  switch (type.kind) {
    case Type::Kind::kTensor: return type.dtype == DType::kUndefined || is_float(type.dtype);
    case Type::Kind::kSequence:
    case Type::Kind::kOptional: return type.element == nullptr || is_smooth(*type.element);
    case Type::Kind::kMap: break;
  }
  return false;
}

std::string_view gradient_kind_name(GradientKind kind) {
  switch (kind) {
    case GradientKind::kDifferentiated: return "differentiated";
    case GradientKind::kDecomposed: return "decomposed";
    case GradientKind::kZero: return "zero";
    case GradientKind::kRefused: return "refused";
    case GradientKind::kMissing: break;
  }
  return "missing";
}

namespace {

std::vector<std::string> origins_of(const Node& node) {
  return node.origins.empty() ? std::vector<std::string>{node.name} : node.origins;
}

}  // namespace

GradientContext::GradientContext(Graph& graph, NodeId id, std::string_view prefix)
    : graph_(graph),
      id_(id),
      node_(graph.node(id)),
      builder_(graph, cat(prefix, graph.node(id).name, "/"), origins_of(graph.node(id))) {}

Expr GradientContext::x(size_t i) {
  TREADLE_CHECK(has(i), kInternal, "the gradient reads input ", i, ", which is absent");
  return {builder_, node_.input(i)};
}

namespace {

std::vector<Known> infer_in(const Graph& graph, const Node& node) {
  std::vector<Known> known(node.inputs.size());
  std::vector<const Known*> in(known.size(), nullptr);
  for (size_t k = 0; k < known.size(); ++k) {
    if (!node.inputs[k].valid()) continue;
    const ValueDef& def = graph.value(node.inputs[k]);
    if (def.is_constant()) known[k] = known_constant(def.constant);
    known[k].type = def.type;
    in[k] = &known[k];
  }
  return infer_node(node, in);
}

}  // namespace

Expr GradientContext::y(size_t i) {
  if (!node_.output(i).valid()) {
    const ValueId made = graph_.add_value(cat(node_.name, "/", node_.op->output(i).name));
    graph_.value(made).producer = id_;
    if (node_.outputs.size() <= i) node_.outputs.resize(i + 1);
    node_.outputs[i] = made;
    graph_.mutable_node(id_).outputs = node_.outputs;
    graph_.value(made).type = infer_in(graph_, node_)[i].type;
  }
  return {builder_, node_.output(i)};
}

Expr GradientContext::gy(size_t i) {
  TREADLE_CHECK(has_gy(i), kInternal, "the gradient reads that of output ", i, ", which is zero");
  return {builder_, gradients_[i]};
}

Expr GradientContext::gy_or_zeros(size_t i) { return has_gy(i) ? gy(i) : zeros_like(y(i)); }

void GradientContext::set(size_t i, const Expr& gradient) {
  if (wants(i)) contribute(node_.input(i), gradient);
}

void GradientContext::contribute(ValueId value, const Expr& gradient) {
  results_.emplace_back(value, gradient.id());
}

void GradientContext::replace_outputs(const std::vector<Expr>& outputs) {
  for (size_t i = 0; i < node_.outputs.size() && i < outputs.size(); ++i) {
    if (!node_.outputs[i].valid()) continue;
    graph_.replace_uses(node_.outputs[i], outputs[i].id());
    node_.outputs[i] = outputs[i].id();
  }
}

std::vector<int64_t> GradientContext::known_ints(size_t i) {
  const Tensor known = x(i).constant();
  TREADLE_CHECK(known.defined(), kUnsupported, "its input '", node_.op->input(i).name,
                "' is known at run time only");
  return known.to_ints();
}

int64_t GradientContext::axis_of(int64_t axis, size_t input) {
  return axis < 0 ? axis + x(input).rank() : axis;
}

void GradientContext::refuse(const std::string& reason) { fail(Code::kUnsupported, reason); }

std::string_view gradient_text(const Op& op) {
  return gradient_kind_name(gradient_support(op).kind);
}

}  // namespace treadle

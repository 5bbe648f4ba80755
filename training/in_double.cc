#include "training/in_double.h"

#include <algorithm>
#include <optional>

#include "graph/builder.h"
#include "graph/ops/cast.h"

namespace treadle {
namespace {

constexpr DTypeSet kNarrow{DType::kFloat, DType::kFloat16, DType::kBfloat16};

Type widened(Type type) {
  if (type.is_tensor() && kNarrow.has(type.dtype)) type.dtype = DType::kDouble;
  if (type.element) type.element = std::make_shared<Type>(widened(*type.element));
  return type;
}

Tensor widened(const Tensor& t) {
  return t.defined() && kNarrow.has(t.dtype()) ? cast_tensor(t, DType::kDouble) : t;
}

// Attributes that name the dtype of a result; those that are given, or that mean float by default.
constexpr const char* kDTypeAttributes[] = {"to", "dtype", "output_dtype", "output_datatype",
                                            "softmax_precision"};
bool is_float_by_default(const Op& op, std::string_view attribute) {
  const AttributeDef* def = op.attribute(attribute);
  return def != nullptr && (def->default_text == "1" || op.kind == "SequenceEmpty");
}

void widen_attributes(Node& node) {
  const auto wide = static_cast<int64_t>(DType::kDouble);
  for (const char* name : kDTypeAttributes) {
    const bool given = node.attributes.has(name);
    const int64_t value = node.attributes.i(name, static_cast<int64_t>(DType::kFloat));
    if (!given && !is_float_by_default(*node.op, name)) continue;
    if (kNarrow.has(static_cast<DType>(value))) node.attributes.set(name, wide);
  }
  Attributes changed = node.attributes;
  for (const auto& [name, value] : node.attributes) {
    if (const auto* t = std::get_if<Tensor>(&value)) changed.set(name, widened(*t));
    if (const auto* t = std::get_if<Type>(&value)) changed.set(name, widened(*t));
  }
  if (node.is("ConstantOfShape") && !changed.has("value")) {
    changed.set("value", Tensor::zeros(DType::kDouble, {1}));
  }
  node.attributes = changed;
}

bool takes_double(const Param& p) { return p.any || p.allowed.has(DType::kDouble); }

// Whether the operator computes floats, but no doubles.
bool is_narrow(const Param& p) { return !takes_double(p) && (p.allowed.mask & kNarrow.mask) != 0; }

Node cast_node(const Node& of, ValueId from, ValueId to, DType dtype) {
  Node node;
  node.op = find_op("Cast");
  node.name = of.name + "/cast";
  node.attributes.set("to", static_cast<int64_t>(dtype));
  node.inputs = {from};
  node.outputs = {to};
  return node;
}

// The graph is built anew, since producers are fixed.
class Widening {
 public:
  explicit Widening(const Graph& from) : from_(from), map_(from.value_count()) {}
  Graph run();

 private:
  ValueId mapped(ValueId v);
  void add(const Node& node);
  void round_input(Node& node, size_t i);

  const Graph& from_;
  Graph to_;
  std::vector<ValueId> map_;
};

ValueId Widening::mapped(ValueId v) {
  if (!v.valid()) return v;
  ValueId& made = map_[v.index];
  if (made.valid()) return made;
  const ValueDef& def = from_.value(v);
  made = def.is_constant() ? to_.add_constant(def.name, widened(def.constant))
                           : to_.add_value(def.name);
  return made;
}

void Widening::round_input(Node& node, size_t i) {
  const ValueId original = node.inputs[i];
  if (!original.valid()) return;
  const Param& p = node.op->input(i);
  const ValueId wide = mapped(original);
  node.inputs[i] = wide;
  if (!is_narrow(p)) return;
  const ValueDef& def = from_.value(original);
  if (def.is_constant()) {  // as it was
    node.inputs[i] = to_.add_constant(def.name, def.constant);
    return;
  }
  if (!is_float(def.type.dtype)) return;
  node.inputs[i] = to_.add_value(def.name + "/rounded");
  to_.add_node(cast_node(node, wide, node.inputs[i], def.type.dtype));
}

void Widening::add(const Node& original) {
  Node node = original;
  const bool narrow = std::ranges::any_of(node.op->outputs, is_narrow);
  for (size_t i = 0; i < node.inputs.size(); ++i) round_input(node, i);
  if (!narrow) widen_attributes(node);
  std::vector<Node> casts;
  for (size_t i = 0; i < node.outputs.size(); ++i) {
    const ValueId v = original.outputs[i];
    if (!v.valid()) continue;
    const ValueId wide = mapped(v);
    node.outputs[i] = wide;
    if (!is_narrow(node.op->output(i)) || !is_float(from_.value(v).type.dtype)) continue;
    node.outputs[i] = to_.add_value(from_.value(v).name + "/narrow");
    casts.push_back(cast_node(node, node.outputs[i], wide, DType::kDouble));
  }
  for (Subgraph& s : node.subgraphs) {
    s.graph = std::make_shared<Graph>(in_double(*s.graph));
    for (ValueId& v : s.captures) v = mapped(v);
  }
  to_.add_node(std::move(node));
  for (Node& c : casts) to_.add_node(std::move(c));
}

Graph Widening::run() {
  to_.name = from_.name;
  for (ValueId v : from_.inputs()) {
    const ValueDef& def = from_.value(v);
    map_[v.index] = to_.add_input(def.name, widened(def.type));
    to_.value(map_[v.index]).default_value = widened(def.default_value);
  }
  for (NodeId id : from_.topological_order()) add(from_.node(id));
  for (const GraphOutput& o : from_.outputs()) to_.add_output(o.name, mapped(o.value));
  return std::move(to_);
}

}  // namespace

Graph in_double(const Graph& graph) { return Widening(graph).run(); }

Value in_double(const Value& value) {
  if (value.is_tensor()) return widened(value.tensor());
  if (const auto* s = std::get_if<std::shared_ptr<const Sequence>>(&value)) {
    Sequence elements;
    for (const Value& v : **s) elements.push_back(in_double(v));
    return std::make_shared<const Sequence>(std::move(elements));
  }
  if (const auto* o = std::get_if<Optional>(&value)) {
    return o->value ? Optional{std::make_shared<const Value>(in_double(*o->value))} : Optional{};
  }
  return value;
}

}  // namespace treadle

#include "tests/ops/one_node.h"

#include <ostream>

#include "graph/ops/op.h"

namespace treadle::test {

Type type_of(const Value& v) {
  if (v.is_tensor()) return Type::tensor(v.tensor().dtype(), symbolic(v.tensor().dims()));
  if (const auto* s = std::get_if<std::shared_ptr<const Sequence>>(&v)) {
    Type element = (*s)->empty() ? Type::tensor(DType::kFloat) : type_of((*s)->front());
    if ((*s)->size() != 1) element.shape.reset();
    return Type::of(Type::Kind::kSequence, element);
  }
  if (const auto* o = std::get_if<Optional>(&v)) {
    return Type::of(Type::Kind::kOptional,
                    o->value ? type_of(*o->value) : Type::tensor(DType::kFloat));
  }
  if (const auto* m = std::get_if<std::shared_ptr<const Map>>(&v)) {
    Type map;
    map.kind = Type::Kind::kMap;
    map.key = (*m)->keys.dtype();
    map.dtype = (*m)->values.dtype();
    return map;
  }
  return {};
}

namespace {

bool is_constant(const Value& v, size_t i, Constants constants) {
  if (!v.is_tensor() || constants == Constants::kNone) return false;
  if (constants == Constants::kAll) return true;
  return i > 0 && (constants == Constants::kAllButFirst || is_integer(v.tensor().dtype()));
}

}  // namespace

OneNode one_node(const OpCase& c, Constants constants) {
  OneNode made;
  Node node;
  node.op = find_op(c.op, c.domain);
  TREADLE_CHECK(node.op != nullptr, kUnsupported, "there is no operator ", c.op);
  node.name = c.name;
  node.attributes = c.attributes;
  auto add = [&](const Value& v, const std::string& name, bool constant) {
    if (constant) return made.graph.add_constant(name, v.tensor());
    made.inputs.push_back(v);
    return made.graph.add_input(name, type_of(v));
  };
  for (size_t i = 0; i < c.inputs.size(); ++i) {
    const Value& v = c.inputs[i];
    node.inputs.push_back(v.empty() ? ValueId{}
                                    : add(v, cat("in", i), is_constant(v, i, constants)));
  }
  for (const OpBody& b : c.bodies) {
    Subgraph s{b.attribute, std::make_shared<Graph>(b.graph->clone()), {}};
    for (const Value& v : b.captures) s.captures.push_back(add(v, b.attribute + "_capture", false));
    node.subgraphs.push_back(std::move(s));
  }
  const size_t outputs = c.outputs != 0 ? c.outputs : std::max<size_t>(c.want.size(), 1);
  for (size_t i = 0; i < outputs; ++i) {
    const bool wanted = c.want.empty() || !c.want[i].empty();
    node.outputs.push_back(wanted ? made.graph.add_value(cat("out", i)) : ValueId{});
  }
  const std::vector<ValueId> results = node.outputs;
  made.node = made.graph.add_node(std::move(node));
  for (size_t i = 0; i < results.size(); ++i) {
    if (results[i].valid()) made.graph.add_output(cat("out", i), results[i]);
  }
  return made;
}

std::ostream& operator<<(std::ostream& out, const OpCase& c) {
  return out << c.op << ' ' << c.name;
}

std::string case_name(const testing::TestParamInfo<OpCase>& info) {
  return info.param.op + "_" + info.param.name;
}

}  // namespace treadle::test

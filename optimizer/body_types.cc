#include "optimizer/body_types.h"

#include <algorithm>

#include "graph/base/checked.h"
#include "graph/ops/op.h"
#include "optimizer/passes.h"

namespace treadle {
namespace {

// Of the first turn; empty where the node is no loop.
struct Turn {
  std::vector<Type> formals;
  size_t first = 0;    // of the carried formals
  size_t carried = 0;  // that many outputs from `results` on are what the next turn is given
  size_t results = 0;
};

Type outer_type(const Graph& outer, ValueId v) { return v.valid() ? outer.value(v).type : Type(); }

Turn loop_turn(const Graph& outer, const Node& node) {
  Turn turn{{Type::tensor(DType::kInt64, Shape()), Type::tensor(DType::kBool, Shape())}, 2, 0, 1};
  for (size_t i = 2; i < node.inputs.size(); ++i) {
    turn.formals.push_back(outer_type(outer, node.inputs[i]));
  }
  turn.carried = turn.formals.size() - turn.first;
  return turn;
}

Turn scan_turn(const Graph& outer, const Node& node) {
  Turn turn;
  const auto scanned = static_cast<size_t>(node.attributes.i("num_scan_inputs", 0));
  if (scanned > node.inputs.size()) return turn;
  const std::vector<int64_t> axes =
      node.attributes.ints("scan_input_axes", std::vector<int64_t>(scanned, 0));
  turn.carried = node.inputs.size() - scanned;
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    Type type = outer_type(outer, node.inputs[i]);
    if (i >= turn.carried && type.shape) {
      const auto rank = static_cast<int64_t>(type.shape->size());
      if (rank == 0 || i - turn.carried >= axes.size()) return {};
      type.shape->erase(type.shape->begin() + resolve_axis(axes[i - turn.carried], rank));
    }
    turn.formals.push_back(type);
  }
  return turn;
}

// Whether a turn leaves what it carries as it was given: then so does every turn.
bool keeps_types(const Graph& body, const Turn& turn) {
  try {
    const std::vector<Known> known = infer(body);
    for (size_t i = 0; i < turn.carried; ++i) {
      const Type& before = turn.formals[turn.first + i];
      const size_t output = turn.results + i;
      if (output >= body.outputs().size()) return false;
      const Type& after = known[body.outputs()[output].value.index].type;
      if (before.kind != Type::Kind::kTensor || !same_type(before, after)) return false;
    }
    return true;
  } catch (const Error&) {
    return false;  // a body that never runs may not fit the shapes at hand
  }
}

void open_dims(Type& type) {
  if (type.shape) std::fill(type.shape->begin(), type.shape->end(), Dim::unknown());
}

}  // namespace

void set_body_types(const Graph& outer, const Node& node, const Subgraph& s) {
  Graph& body = *s.graph;
  const auto type_of = [&](size_t i) -> Type& { return body.value(body.inputs()[i]).type; };
  for (size_t i = s.formal_count(); i < body.inputs().size(); ++i) {
    type_of(i) = outer.value(s.captures[i - s.formal_count()]).type;
  }
  Turn turn;
  if (node.is("Loop")) turn = loop_turn(outer, node);
  if (node.is("Scan")) turn = scan_turn(outer, node);
  std::vector<Type> declared;
  for (size_t i = 0; i < s.formal_count(); ++i) declared.push_back(type_of(i));
  if (turn.formals.size() == s.formal_count()) {
    for (size_t i = 0; i < s.formal_count(); ++i) {
      open_dims(type_of(i));
      if (turn.formals[i].shape) type_of(i) = turn.formals[i];
    }
    if (keeps_types(body, turn)) return;
  }
  for (size_t i = 0; i < s.formal_count(); ++i) {
    type_of(i) = declared[i];
    open_dims(type_of(i));
  }
}

}  // namespace treadle

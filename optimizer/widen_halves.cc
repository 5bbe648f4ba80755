// Computes what is float16 or bfloat16 in float, for which the kernels are written: Casts stand at
// the edges of regions, none between two nodes of one. docs/adr/009-halves.md says what is rounded
// where.
#include <algorithm>
#include <map>

#include "optimizer/body_types.h"
#include "optimizer/passes.h"

namespace treadle {
namespace {

enum class How {
  kCompute,  // in float, from operands that were never rounded
  kRound,    // in float, from rounded operands: where those jump or tie decides the result
  kMove,     // in what its operands are in
  kKeep,     // in 16 bits
};

constexpr struct {
  std::string_view kind;
  How how;
} kSpecial[] = {
    {"ArgMax", How::kRound},
    {"ArgMin", How::kRound},
    {"Ceil", How::kRound},
    {"Equal", How::kRound},
    {"Floor", How::kRound},
    {"Greater", How::kRound},
    {"GreaterOrEqual", How::kRound},
    {"GridSample", How::kRound},
    {"Hardmax", How::kRound},
    {"IsInf", How::kRound},
    {"IsNaN", How::kRound},
    {"Less", How::kRound},
    {"LessOrEqual", How::kRound},
    {"MaxRoiPool", How::kRound},
    {"Mod", How::kRound},
    {"RoiAlign", How::kRound},
    {"Round", How::kRound},
    {"Shrink", How::kRound},
    {"Sign", How::kRound},
    {"ThresholdedRelu", How::kRound},
    {"TopK", How::kRound},
    {"CenterCropPad", How::kMove},
    {"Concat", How::kMove},
    {"DepthToSpace", How::kMove},
    {"Dropout", How::kMove},  // but in training it draws the same numbers in any type
    {"Expand", How::kMove},
    {"EyeLike", How::kMove},
    {"Flatten", How::kMove},
    {"Gather", How::kMove},
    {"GatherElements", How::kMove},
    {"GatherND", How::kMove},
    {"Identity", How::kMove},
    {"MaxUnpool", How::kMove},
    {"OneHot", How::kMove},
    {"Pad", How::kMove},
    {"Reshape", How::kMove},
    {"ReverseSequence", How::kMove},
    {"ScatterElements", How::kMove},
    {"ScatterND", How::kMove},
    {"Shape", How::kMove},
    {"Size", How::kMove},
    {"Slice", How::kMove},
    {"SpaceToDepth", How::kMove},
    {"Split", How::kMove},
    {"Squeeze", How::kMove},
    {"TensorScatter", How::kMove},
    {"Tile", How::kMove},
    {"Transpose", How::kMove},
    {"Trilu", How::kMove},
    {"Unsqueeze", How::kMove},
    {"BitCast", How::kKeep},
    {"CastLike", How::kKeep},
    {"QLinearConv", How::kKeep},
    {"QLinearMatMul", How::kKeep},
    {"QuantizeLinear", How::kKeep},  // the type of its scale is that of its division
    {"Range", How::kKeep},           // rounding decides how many
};

How how_of(const Node& node) {
  const std::string& domain = node.op->domain;
  const bool known = domain.empty() || domain == "com.microsoft" || domain == "treadle";
  if (!known || node.state || !node.subgraphs.empty()) return How::kKeep;
  if (domain.empty()) {
    for (const auto& [kind, how] : kSpecial) {
      if (node.op->kind == kind) return how;
    }
  }
  return node.op->has(kRandom) || node.op->has(kDataDependent) ? How::kKeep : How::kCompute;
}

Attributes to(DType dtype) { return {{"to", static_cast<int64_t>(dtype)}}; }

class Widening {
 public:
  explicit Widening(Pass& pass) : pass_(pass), graph_(pass.graph) {}

  void run() {
    if (!is_typed()) return;
    for (NodeId id : graph_.topological_order()) {
      if (pass_.stopped()) return;
      if (!graph_.alive(id)) continue;
      widen_branches(graph_.node(id));
      visit(id);
    }
  }

 private:
  bool is_half(ValueId v) const {
    return v.valid() && pass_.type(v).is_tensor() && treadle::is_half(pass_.type(v).dtype);
  }

  // Bodies come without types. One that never runs may not fit its inputs, and is left as it is.
  bool is_typed() const {
    const auto is_unknown = [&](ValueId v) {
      return v.valid() && pass_.type(v).is_tensor() && pass_.type(v).dtype == DType::kUndefined;
    };
    const bool unknown = std::ranges::any_of(graph_.topological_order(), [&](NodeId id) {
      return std::ranges::any_of(graph_.node(id).outputs, is_unknown);
    });
    try {
      if (unknown) annotate(graph_);
    } catch (const Error&) {
      return false;
    }
    return true;
  }

  // A branch that is inlined by a later pass is not visited again.
  void widen_branches(const Node& node) {
    if (!node.is("If")) return;
    for (const Subgraph& s : node.subgraphs) {
      set_body_types(graph_, node, s);
      Pass body = pass_.within(*s.graph);
      Widening(body).run();
    }
  }

  void visit(NodeId id) {
    const Node& node = graph_.node(id);
    if (node.is("Cast")) return read_unrounded(id);
    const How how = how_of(node);
    if (how == How::kKeep || !takes_floats(node)) return;
    const bool moves_floats = std::ranges::any_of(
        node.inputs, [&](ValueId v) { return v.valid() && unrounded_.contains(v); });
    if (how != How::kMove || moves_floats) widen(id, how);
  }

  // A Cast of the model from 16 bits to float asks for no rounding: that was the edge's.
  void read_unrounded(NodeId id) {
    const Node& node = graph_.node(id);
    const auto wide = unrounded_.find(node.input(0));
    if (wide != unrounded_.end() && pass_.type(node.output()).dtype == DType::kFloat)
      pass_.replace(id, node.output(), wide->second);
  }

  // Tensors all, some of 16 bits, which may be float as well.
  bool takes_floats(const Node& node) const {
    const auto is_tensor = [&](ValueId v) {
      return !v.valid() || (pass_.type(v).is_tensor() && pass_.type(v).dtype != DType::kUndefined);
    };
    if (!std::ranges::all_of(node.inputs, is_tensor)) return false;
    if (!std::ranges::all_of(node.outputs, is_tensor)) return false;
    bool any = false;
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      if (!is_half(node.inputs[i])) continue;
      const Param& param = node.op->input(i);
      if (!param.any && !param.allowed.has(DType::kFloat)) return false;
      any = true;
    }
    return any;
  }

  void widen(NodeId id, How how) {
    Patch patch;
    Node wide = graph_.node(id);
    const std::vector<ValueId> outputs = wide.outputs;
    const Source source{wide.name, wide.origins};
    std::map<ValueId, ValueId> operands;
    for (ValueId& v : wide.inputs) {
      if (!is_half(v)) continue;
      ValueId& operand = operands[v];
      if (!operand.valid()) operand = in_float(patch, v, how);
      v = operand;
    }
    while (!wide.outputs.empty() && !wide.outputs.back().valid()) wide.outputs.pop_back();
    const std::vector<ValueId> results = patch.node(std::move(wide));
    for (size_t i = 0; i < results.size(); ++i) {
      if (!outputs[i].valid()) continue;
      const ValueId result = is_half(outputs[i])
                                 ? patch.op("Cast", {results[i]}, to(pass_.type(outputs[i]).dtype))
                                 : results[i];
      patch.replace(outputs[i], result);
    }
    const size_t before = graph_.value_count();
    if (pass_.apply(id, std::move(patch))) note_added(before, source);
  }

  ValueId in_float(Patch& patch, ValueId v, How how) {
    const auto wide = unrounded_.find(v);
    if (wide != unrounded_.end() && how != How::kRound) return wide->second;
    const auto cast = rounded_.find(v);
    if (cast != rounded_.end()) return cast->second;
    return patch.op("Cast", {v}, to(DType::kFloat));
  }

  struct Source {
    std::string name;
    std::vector<std::string> origins;
  };
  // The values from `before` on are those of the patch for a node. What its operands were cast by
  // is no origin of it.
  void note_added(size_t before, const Source& source) {
    for (size_t i = before; i < graph_.value_count(); ++i) {
      const ValueId v{static_cast<uint32_t>(i)};
      const NodeId producer = graph_.value(v).producer;
      if (!graph_.alive(producer)) continue;
      Node& node = graph_.mutable_node(producer);
      node.name = source.name;
      node.origins = source.origins;
      if (!node.is("Cast")) continue;
      if (!source.name.empty()) node.name += "/Cast";
      if (node.origins.empty() && !source.name.empty()) node.origins = {source.name};
      const ValueId from = node.input(0);
      if (pass_.type(v).dtype == DType::kFloat) {
        rounded_[from] = v;
      } else if (pass_.type(from).dtype == DType::kFloat) {
        unrounded_[v] = from;
        graph_.value(from).type.shape = pass_.type(v).shape;
      }
    }
  }

  Pass& pass_;
  Graph& graph_;
  std::map<ValueId, ValueId> unrounded_;  // of what is of 16 bits: the float that it was made from,
  std::map<ValueId, ValueId> rounded_;    // and its Cast to float
};

}  // namespace

void widen_halves(Pass& pass) { Widening(pass).run(); }

}  // namespace treadle

#include "runtime/describe.h"

#include <limits>

#include "runtime/partition.h"

namespace treadle {

int64_t capped_add(int64_t a, int64_t b) {
  int64_t sum;
  return __builtin_add_overflow(a, b, &sum) ? std::numeric_limits<int64_t>::max() : sum;
}
int64_t capped_mul(int64_t a, int64_t b) {
  int64_t product;
  return __builtin_mul_overflow(a, b, &product) ? std::numeric_limits<int64_t>::max() : product;
}

namespace {

StepInfo describe_node(const Node& node) {
  StepInfo info;
  info.node = node.name;
  info.op = node.op->full_name();
  info.origins = node.origins.empty() ? std::vector<std::string>{node.name} : node.origins;
  return info;
}

// "[1, N] - -> [1, 4]" of what each value's text is.
template <class Values, class Text>
std::string shapes_text(const Values& inputs, const Values& outputs, Text text) {
  std::string out;
  for (const auto& v : inputs) out += (out.empty() ? "" : " ") + text(v);
  out += " ->";
  for (const auto& v : outputs) out += " " + text(v);
  return out;
}

bool is_fixed(const Known& known) {
  return known.type.is_tensor() && known.type.dtype != DType::kUndefined && known.type.shape &&
         is_static(*known.type.shape);
}

// What is known of each value. Where shapes do not fit (a branch that is never taken, sizes that
// were guessed) only the declared types are.
std::vector<Known> known_in(const Graph& graph, const std::vector<Known>& inputs) {
  std::vector<Known> known(graph.value_count());
  for (uint32_t i = 0; i < known.size(); ++i) {
    const ValueDef& def = graph.value(ValueId{i});
    known[i] = def.is_constant() ? known_constant(def.constant) : Known{def.type, {}, {}};
  }
  for (size_t i = 0; i < inputs.size(); ++i) known[graph.inputs()[i].index] = inputs[i];
  for (NodeId id : graph.topological_order()) {
    const Node& node = graph.node(id);
    std::vector<const Known*> in;
    for (ValueId v : node.inputs) in.push_back(v.valid() ? &known[v.index] : nullptr);
    std::vector<std::vector<Known>> captures;
    for (const Subgraph& s : node.subgraphs) {
      captures.emplace_back();
      for (ValueId v : s.captures) captures.back().push_back(known[v.index]);
    }
    try {
      std::vector<Known> out = infer_node(node, in, captures);
      for (size_t i = 0; i < node.outputs.size(); ++i) {
        if (node.outputs[i].valid()) known[node.outputs[i].index] = std::move(out[i]);
      }
    } catch (const Error&) {
      continue;
    }
  }
  return known;
}

class Lister {
 public:
  explicit Lister(std::string reason) : reason_(std::move(reason)) {}
  // The nodes `ids` of a graph and those in their bodies.
  void list(const Graph& graph, const std::vector<NodeId>& ids, const std::vector<Known>& known) {
    for (NodeId id : ids) {
      add(graph.node(id), known);
      list_bodies(graph.node(id), known);
    }
  }

  void list_bodies(const Node& node, const std::vector<Known>& known) {
    for (const Subgraph& s : node.subgraphs) {
      std::vector<Known> inputs;
      for (ValueId v : s.graph->inputs()) inputs.push_back({s.graph->value(v).type, {}, {}});
      const size_t formals = s.formal_count();
      for (size_t i = 0; i < s.captures.size(); ++i)
        inputs[formals + i] = known[s.captures[i].index];
      list(*s.graph, s.graph->topological_order(), known_in(*s.graph, inputs));
    }
  }

  std::vector<StepInfo> steps;

 private:
  void add(const Node& node, const std::vector<Known>& known) {
    StepInfo info = describe_node(node);
    info.reason = reason_;
    info.shapes = shapes_text(node.inputs, node.outputs, [&](ValueId v) -> std::string {
      if (!v.valid()) return "-";
      const Type& type = known[v.index].type;
      return type.is_tensor() && type.shape ? shape_text(*type.shape) : "?";
    });
    bool fixed = true;
    NodeSpec spec;
    spec.node = &node;
    auto spec_of = [&](ValueId v) -> TensorSpec {
      if (!v.valid()) return {};
      fixed = fixed && is_fixed(known[v.index]);
      return fixed ? TensorSpec{known[v.index].type.dtype, *concrete(*known[v.index].type.shape)}
                   : TensorSpec{};
    };
    for (ValueId v : node.inputs) spec.inputs.push_back(spec_of(v));
    for (ValueId v : node.outputs) spec.outputs.push_back(spec_of(v));
    if (fixed) info.multiply_adds = multiply_adds(spec);
    steps.push_back(std::move(info));
  }

  const std::string reason_;
};

}  // namespace

StepInfo describe_dynamic(const Node& node) {
  StepInfo info = describe_node(node);
  info.backend = "reference";
  info.reason = "its shapes depend on data";
  return info;
}

StepInfo describe_step(const NodeSpec& spec) {
  StepInfo info = describe_node(*spec.node);
  info.shapes = shapes_text(spec.inputs, spec.outputs, [&](const TensorSpec& t) -> std::string {
    if (!t.present()) return "-";
    info.bytes = capped_add(info.bytes, byte_size(t.dtype, element_count(t.dims)));
    return shape_text(t.dims);
  });
  info.multiply_adds = multiply_adds(spec);
  return info;
}

std::vector<StepInfo> describe_nodes(const Graph& graph, std::span<const Type> input_types) {
  std::vector<Known> inputs;
  for (const Type& type : input_types) inputs.push_back({type, {}, {}});
  Lister lister("");
  lister.list(graph, graph.topological_order(), known_in(graph, inputs));
  return std::move(lister.steps);
}

std::vector<StepInfo> describe_late(const Graph& graph, const std::vector<Known>& inputs) {
  const Partition parts = partition(graph, inputs);
  const std::vector<Known> known = known_in(graph, inputs);
  Lister lister("planned in the run");
  for (NodeId id : parts.dynamic) lister.list_bodies(graph.node(id), known);
  lister.list(graph, parts.rest, known);
  return std::move(lister.steps);
}

}  // namespace treadle

#include "runtime/partition.h"

#include <algorithm>

#include "runtime/schedule.h"

namespace treadle {
namespace {

bool is_fixed_tensor(const Type& type) {
  return type.is_tensor() && dtype_bits(type.dtype) > 0 && type.shape && is_static(*type.shape);
}

enum class Role { kFixed, kDynamic, kRest };

class Partitioner {
 public:
  Partitioner(const Graph& graph, const std::vector<Known>& inputs) : graph_(graph) {
    parts_.known.resize(graph.value_count());
    parts_.late.resize(graph.value_count());
    parts_.loose.resize(graph.value_count());
    for (uint32_t i = 0; i < graph.value_count(); ++i) {
      const ValueDef& def = graph.value(ValueId{i});
      if (!def.is_constant()) continue;
      parts_.known[i] = known_constant(def.constant);
      parts_.loose[i] = def.constant.dtype() == DType::kString;
    }
    for (size_t i = 0; i < inputs.size(); ++i) {
      const uint32_t v = graph.inputs()[i].index;
      parts_.known[v] = inputs[i];
      parts_.loose[v] = !is_fixed_tensor(inputs[i].type);
    }
  }

  Partition run() {
    std::vector<NodeId> fixed;
    for (NodeId id : run_order(graph_)) {
      switch (place(id)) {
        case Role::kFixed: fixed.push_back(id); break;
        case Role::kDynamic: parts_.dynamic.push_back(id); break;
        case Role::kRest: parts_.rest.push_back(id); break;
      }
    }
    keep_needed(fixed);
    return std::move(parts_);
  }

 private:
  Role place(NodeId id) {
    const Node& node = graph_.node(id);
    bool waits = false;
    bool loose = node.op->has(kDataDependent);
    for (const Subgraph& s : node.subgraphs) loose = loose || !s.captures.empty();
    for_each_use(node, [&](ValueId v) {
      waits = waits || parts_.late[v.index];
      loose = loose || parts_.loose[v.index];
    });
    if (!waits && !loose) {
      std::vector<const Known*> in;
      for (ValueId v : node.inputs) in.push_back(v.valid() ? &parts_.known[v.index] : nullptr);
      std::vector<Known> out = infer_node(node, in);
      for (size_t i = 0; i < node.outputs.size(); ++i) {
        if (!node.outputs[i].valid()) continue;
        loose = loose || !is_fixed_tensor(out[i].type);
        parts_.known[node.outputs[i].index] = std::move(out[i]);
      }
    }
    if (!waits && !loose) return Role::kFixed;
    for (ValueId v : node.outputs) {
      if (!v.valid()) continue;
      parts_.late[v.index] = true;
      parts_.known[v.index] = Known{};
    }
    return waits ? Role::kRest : Role::kDynamic;
  }

  // Drops nodes whose outputs nobody needs, or that are all known already
  // (shapes computed from shapes).
  void keep_needed(const std::vector<NodeId>& fixed) {
    std::vector<bool> needed(graph_.value_count(), false);
    for (const GraphOutput& o : graph_.outputs()) needed[o.value.index] = true;
    for (const auto* late : {&parts_.dynamic, &parts_.rest}) {
      for (NodeId id : *late)
        for_each_use(graph_.node(id), [&](ValueId v) { needed[v.index] = true; });
    }
    for (auto it = fixed.rbegin(); it != fixed.rend(); ++it) {
      const Node& node = graph_.node(*it);
      const bool run = std::any_of(node.outputs.begin(), node.outputs.end(), [&](ValueId v) {
        return v.valid() && needed[v.index] && !parts_.known[v.index].constant.defined();
      });
      if (!run) continue;
      for_each_use(node, [&](ValueId v) { needed[v.index] = true; });
      parts_.fixed.push_back(*it);
    }
    std::reverse(parts_.fixed.begin(), parts_.fixed.end());
  }

  const Graph& graph_;
  Partition parts_;
};

}  // namespace

Partition partition(const Graph& graph, const std::vector<Known>& inputs) {
  return Partitioner(graph, inputs).run();
}

Graph extract_rest(const Graph& graph, const Partition& parts, std::vector<ValueId>& inputs,
                   std::vector<std::pair<uint32_t, uint32_t>>& outputs) {
  Graph rest;
  std::vector<ValueId> map(graph.value_count());
  auto mapped_input = [&](ValueId v) {
    if (!v.valid() || map[v.index].valid()) return v.valid() ? map[v.index] : v;
    const ValueDef& def = graph.value(v);
    const Tensor& constant = def.is_constant() ? def.constant : parts.known[v.index].constant;
    if (constant.defined()) {
      map[v.index] = rest.add_constant(def.name, constant);
    } else {
      map[v.index] = rest.add_input(def.name, def.type);
      inputs.push_back(v);
    }
    return map[v.index];
  };
  for (NodeId id : parts.rest) {
    Node node = graph.node(id);
    for (ValueId& v : node.inputs) v = mapped_input(v);
    for (Subgraph& s : node.subgraphs) {
      for (ValueId& v : s.captures) v = mapped_input(v);
    }
    for (ValueId& v : node.outputs) {
      if (!v.valid()) continue;
      const ValueId to = rest.add_value(graph.value(v).name, graph.value(v).type);
      map[v.index] = to;
      v = to;
    }
    rest.add_node(std::move(node));
  }
  std::vector<bool> made(graph.value_count(), false);
  for (NodeId id : parts.rest) {
    for (ValueId v : graph.node(id).outputs) {
      if (v.valid()) made[v.index] = true;
    }
  }
  for (uint32_t i = 0; i < graph.outputs().size(); ++i) {
    const ValueId v = graph.outputs()[i].value;
    if (!made[v.index]) continue;
    outputs.emplace_back(static_cast<uint32_t>(rest.outputs().size()), i);
    rest.add_output(graph.outputs()[i].name, map[v.index]);
  }
  return rest;
}

}  // namespace treadle

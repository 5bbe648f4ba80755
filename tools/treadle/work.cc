#include "tools/treadle/work.h"

#include <algorithm>
#include <limits>
#include <optional>

#include "graph/ops/op.h"
#include "runtime/runtime.h"

namespace treadle::tool {
namespace {

// Absent values are specs that are not present; nullopt where a shape is not known.
std::optional<std::vector<TensorSpec>> specs(const std::vector<ValueId>& values,
                                             const std::vector<Known>& known) {
  std::vector<TensorSpec> list;
  for (ValueId v : values) {
    if (!v.valid()) {
      list.emplace_back();
      continue;
    }
    const Type& type = known[v.index].type;
    if (!type.is_tensor()) return std::nullopt;
    const auto dims = type.shape ? concrete(*type.shape) : std::nullopt;
    if (!dims) return std::nullopt;
    list.push_back({type.dtype, *dims, kPlain});
  }
  return list;
}

void add(Work& sum, const Work& part) {
  const int64_t room = std::numeric_limits<int64_t>::max() - sum.multiply_adds;
  sum.multiply_adds += std::min(room, part.multiply_adds);
  sum.unsized += part.unsized;
}

Work count(const Graph& graph, const std::vector<Known>& inputs);

// Formal inputs are as declared, captures as known outside.
Work largest_body(const Node& node, const std::vector<Known>& known) {
  Work largest;
  for (const Subgraph& s : node.subgraphs) {
    std::vector<Known> inputs;
    for (size_t i = 0; i < s.graph->inputs().size(); ++i) {
      const size_t formal = s.formal_count();
      inputs.push_back(i < formal ? Known{s.graph->value(s.graph->inputs()[i]).type, {}, {}}
                                  : known[s.captures[i - formal].index]);
    }
    const Work body = count(*s.graph, inputs);
    if (body.multiply_adds >= largest.multiply_adds) largest = body;
  }
  return largest;
}

Work count(const Graph& graph, const std::vector<Known>& inputs) {
  const std::vector<Known> known = infer(graph, inputs);
  Work sum;
  for (NodeId id : graph.topological_order()) {
    const Node& node = graph.node(id);
    if (!node.subgraphs.empty()) {
      add(sum, largest_body(node, known));
      continue;
    }
    const auto in = specs(node.inputs, known), out = specs(node.outputs, known);
    if (in && out) {
      add(sum, {multiply_adds({&node, *in, *out, {}}), 0});
    } else {
      add(sum, {0, 1});
    }
  }
  return sum;
}

}  // namespace

Work work_of(const Graph& graph, std::span<const Type> inputs) {
  std::vector<Known> known;
  for (const Type& type : inputs) known.push_back({type, {}, {}});
  return count(graph, known);
}

}  // namespace treadle::tool

// Common subexpressions: equal nodes of equal inputs become one, and so do equal small constants.
#include <algorithm>
#include <unordered_map>

#include "optimizer/passes.h"

namespace treadle {
namespace {

constexpr size_t kSmallConstant = 4096;  // bytes that are worth comparing

size_t combine(size_t hash, size_t part) { return hash * 1099511628211u ^ part; }

class Merger {
 public:
  explicit Merger(Pass& pass) : pass_(pass), graph_(pass.graph) {}

  void run() {
    is_output_.resize(graph_.value_count());
    for (const GraphOutput& o : graph_.outputs()) is_output_[o.value.index] = true;
    for (uint32_t i = 0; i < graph_.value_count(); ++i) merge_constant(ValueId{i});
    for (NodeId id : graph_.topological_order()) {
      if (pass_.stopped()) return;
      if (graph_.alive(id)) merge_node(id);
    }
  }

 private:
  // Constants have no node to report; readers simply move.
  void merge_constant(ValueId id) {
    const Tensor* t = pass_.constant(id);
    if (t == nullptr || t->dtype() == DType::kString || t->bytes() > kSmallConstant) return;
    if (is_output_[id.index] || graph_.value(id).users.empty()) return;
    const std::string_view bytes(reinterpret_cast<const char*>(t->raw()), t->bytes());
    size_t hash = combine(std::hash<std::string_view>{}(bytes), static_cast<size_t>(t->dtype()));
    for (int64_t d : t->dims()) hash = combine(hash, static_cast<size_t>(d));
    auto [first, last] = constants_.equal_range(hash);
    for (; first != last; ++first) {
      if (!(graph_.value(first->second).constant == *t)) continue;
      graph_.replace_uses(id, first->second);
      graph_.remove_constant(id);
      return;
    }
    constants_.emplace(hash, id);
  }

  std::vector<ValueId> inputs_of(const Node& node) const {
    std::vector<ValueId> inputs = node.inputs;
    if (node.op->has(kCommutative) && inputs.size() >= 2 && inputs[1] < inputs[0]) {
      std::swap(inputs[0], inputs[1]);
    }
    return inputs;
  }

  static bool has_outputs_of(const Node& kept, const Node& node) {
    for (size_t i = 0; i < node.outputs.size(); ++i) {
      if (node.outputs[i].valid() && !kept.output(i).valid()) return false;
    }
    return true;
  }

  void merge_node(NodeId id) {
    const Node& node = graph_.node(id);
    if (node.op->has(kRandom) || !node.subgraphs.empty() || node.outputs.empty()) return;
    const std::vector<ValueId> inputs = inputs_of(node);
    size_t hash = node.op->id;
    for (ValueId v : inputs) hash = combine(hash, v.index);
    auto [first, last] = nodes_.equal_range(hash);
    for (; first != last; ++first) {
      const Node& kept = graph_.node(first->second);
      const bool equal = kept.op->id == node.op->id && inputs_of(kept) == inputs &&
                         kept.attributes == node.attributes && has_outputs_of(kept, node);
      if (!equal) continue;
      Patch patch;
      for (size_t i = 0; i < node.outputs.size(); ++i) {
        if (node.outputs[i].valid()) patch.replace(node.outputs[i], kept.outputs[i]);
      }
      pass_.apply(id, std::move(patch));
      return;
    }
    nodes_.emplace(hash, id);
  }

  Pass& pass_;
  Graph& graph_;
  std::vector<bool> is_output_;  // by value index, as the pass began
  std::unordered_multimap<size_t, ValueId> constants_;
  std::unordered_multimap<size_t, NodeId> nodes_;
};

}  // namespace

void merge_equal(Pass& pass) { Merger(pass).run(); }

}  // namespace treadle

// In a graph that trains, a value that is cheap to make from one that stays anyway is made again
// for each elementwise reader, whose region takes it in, instead of being kept from the forward to
// the backward pass: the centred input of a normalization.
#include <algorithm>
#include <map>

#include "optimizer/passes.h"

namespace treadle {
namespace {

class Recomputation {
 public:
  explicit Recomputation(Pass& pass) : pass_(pass), graph_(pass.graph) {
    order_ = graph_.topological_order();
    for (size_t i = 0; i < order_.size(); ++i) position_[order_[i]] = i;
  }

  void run() {
    for (NodeId id : order_) {
      if (pass_.stopped()) return;
      if (is_cheap(graph_.node(id)) && stays(id)) repeat(id);
    }
  }

 private:
  bool is_cheap(const Node& node) const {
    const bool arithmetic = node.is("Sub") || node.is("Add") || node.is("Mul") || node.is("Div");
    return arithmetic && !graph_.is_output(node.output()) &&
           pass_.type(node.output()).dtype == DType::kFloat;
  }

  // The operand of the result's shape where the other one is much smaller; else an invalid id.
  ValueId large_operand(const Node& node) const {
    const Type& out = pass_.type(node.output());
    for (size_t i : {0, 1}) {
      const auto& other = pass_.type(node.input(1 - i)).shape;
      if (!same_type(pass_.type(node.input(i)), out) || !other) continue;
      const auto ones = std::ranges::count_if(*other, [](const Dim& d) { return d.is(1); });
      if (other->size() < out.shape->size() || ones > 0) return node.input(i);
    }
    return {};
  }

  // The large operand is read behind the first reader of the result as well.
  bool stays(NodeId id) const {
    const Node& node = graph_.node(id);
    const ValueId large = large_operand(node);
    if (!large.valid()) return false;
    const auto& users = graph_.value(node.output()).users;
    size_t first = order_.size();
    for (NodeId user : users) first = std::min(first, position_.at(user));
    return std::ranges::any_of(graph_.value(large).users, [&](NodeId user) {
      return user != id && position_.at(user) > first;
    });
  }

  void repeat(NodeId id) {
    const Node node = graph_.node(id);
    const ValueId from = node.output();
    std::vector<NodeId> readers = graph_.value(from).users;
    std::ranges::sort(readers);
    readers.erase(std::unique(readers.begin(), readers.end()), readers.end());
    // One reader keeps the original: the first that is not elementwise, else the first.
    const auto fuses = [&](NodeId reader) { return graph_.node(reader).op->has(kElementwise); };
    if (std::ranges::all_of(readers, fuses)) readers.erase(readers.begin());
    for (NodeId reader : readers) {
      if (!fuses(reader)) continue;
      Node copy = node;
      const ValueId to = graph_.add_value(graph_.value(from).name, graph_.value(from).type);
      copy.outputs = {to};
      position_[graph_.add_node(std::move(copy))] = position_.at(reader);
      for (size_t i = 0; i < graph_.node(reader).inputs.size(); ++i) {
        if (graph_.node(reader).input(i) == from) graph_.set_input(reader, i, to);
      }
      pass_.count(1);
    }
  }

  Pass& pass_;
  Graph& graph_;
  std::vector<NodeId> order_;
  std::map<NodeId, size_t> position_;
};

}  // namespace

void recompute(Pass& pass) {
  if (!pass.graph.states.empty()) Recomputation(pass).run();
}

}  // namespace treadle

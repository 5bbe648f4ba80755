#include "runtime/schedule.h"

#include <algorithm>
#include <map>

namespace treadle {
namespace {

class Scheduler {
 public:
  explicit Scheduler(const Graph& graph) : graph_(graph) {
    for (NodeId id : graph.topological_order()) {
      bound_ = std::max<size_t>(bound_, id.index + 1);
    }
    marks_.resize(bound_, Mark::kNew);
    for (const State& state : graph.states) {
      const auto output = std::ranges::find(graph.outputs(), state.output, &GraphOutput::name);
      const NodeId writer = graph.value(output->value).producer;
      state_outputs_.push_back(output->value);
      if (writer.valid()) overwrites_[writer].push_back(graph.find_value(state.input));
    }
  }

  std::vector<NodeId> run() {
    for (const GraphOutput& o : graph_.outputs()) {
      const bool state = std::ranges::find(state_outputs_, o.value) != state_outputs_.end();
      if (!state) visit(graph_.value(o.value).producer);
    }
    for (auto it = state_outputs_.rbegin(); it != state_outputs_.rend(); ++it) {
      visit(graph_.value(*it).producer);
    }
    for (NodeId id : graph_.topological_order()) visit(id);  // what no output needs
    return std::move(order_);
  }

  // Early readers of states are no edges: the order may be none.
  bool is_valid(const std::vector<NodeId>& order) const {
    std::vector<bool> done(bound_);
    return std::ranges::all_of(order, [&](NodeId id) {
      bool ready = true;
      for_each_use(graph_.node(id), [&](ValueId v) {
        const NodeId producer = graph_.value(v).producer;
        ready = ready && (!producer.valid() || done[producer.index]);
      });
      done[id.index] = true;
      return ready;
    });
  }

 private:
  enum class Mark : uint8_t { kNew, kOpen, kDone };

  // Depth first, without recursion: the graph may be deep.
  void visit(NodeId root) {
    if (!root.valid()) return;
    std::vector<NodeId> stack = {root};
    while (!stack.empty()) {
      const NodeId id = stack.back();
      Mark& mark = marks_[id.index];
      if (mark == Mark::kNew) {
        mark = Mark::kOpen;
        push_needed(id, stack);
        continue;
      }
      stack.pop_back();
      if (mark == Mark::kOpen) order_.push_back(id);
      mark = Mark::kDone;
    }
  }

  void push_needed(NodeId id, std::vector<NodeId>& stack) {
    const auto push = [&](NodeId needed) {
      if (needed.valid() && marks_[needed.index] == Mark::kNew) stack.push_back(needed);
    };
    if (const auto found = overwrites_.find(id); found != overwrites_.end()) {
      const std::vector<bool> after = followers(id);
      for (ValueId old : found->second) {
        for (NodeId reader : graph_.value(old).users) {
          if (!after[reader.index]) push(reader);
        }
      }
    }
    for_each_use(graph_.node(id), [&](ValueId v) { push(graph_.value(v).producer); });
  }

  // The node itself and all that depends on it: little, where it makes a state.
  std::vector<bool> followers(NodeId id) const {
    std::vector<bool> found(bound_);
    std::vector<NodeId> left = {id};
    found[id.index] = true;
    while (!left.empty()) {
      const NodeId next = left.back();
      left.pop_back();
      for (ValueId v : graph_.node(next).outputs) {
        if (!v.valid()) continue;
        for (NodeId user : graph_.value(v).users) {
          if (!found[user.index]) left.push_back(user);
          found[user.index] = true;
        }
      }
    }
    return found;
  }

  const Graph& graph_;
  size_t bound_ = 0;
  std::vector<Mark> marks_;
  std::vector<ValueId> state_outputs_;
  std::map<NodeId, std::vector<ValueId>> overwrites_;
  std::vector<NodeId> order_;
};

}  // namespace

std::vector<NodeId> run_order(const Graph& graph) {
  if (graph.states.empty()) return graph.topological_order();
  Scheduler scheduler(graph);
  std::vector<NodeId> order = scheduler.run();
  return scheduler.is_valid(order) ? order : graph.topological_order();
}

}  // namespace treadle

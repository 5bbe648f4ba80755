#include "graph/graph.h"

#include <algorithm>
#include <queue>
#include <utility>

#include "graph/ops/op.h"

namespace treadle {

size_t Subgraph::formal_count() const { return graph->inputs().size() - captures.size(); }

bool Node::is(std::string_view kind, std::string_view domain) const {
  return op != nullptr && op->kind == kind && op->domain == domain;
}

std::string describe(const Node& node) {
  const std::string kind = node.op != nullptr ? node.op->full_name() : "?";
  return node.name.empty() ? cat("a node of ", kind) : cat("node '", node.name, "' (", kind, ")");
}

void add_context(Error& error, const Node& node, std::string_view more) {
  error.name_node(node.name, node.op != nullptr ? node.op->full_name() : "?");
  error.add_context(cat(describe(node), more));
}

std::string Graph::unique_name(std::string_view base) const {
  std::string stem(base.empty() ? "value" : base);
  if (!names_.contains(stem)) return stem;
  for (size_t i = names_.size();; ++i) {  // from a number that is probably free
    std::string candidate = cat(stem, "_", i);
    if (!names_.contains(candidate)) return candidate;
  }
}

ValueId Graph::add_value(std::string value_name, Type type) {
  const auto index = static_cast<uint32_t>(values_.size());
  ValueDef def;
  def.name = unique_name(value_name);
  def.type = std::move(type);
  names_.emplace(def.name, index);
  values_.push_back(std::move(def));
  return ValueId{index};
}

ValueId Graph::add_input(std::string value_name, Type type) {
  inputs_.push_back(add_value(std::move(value_name), std::move(type)));
  return inputs_.back();
}

ValueId Graph::add_constant(std::string value_name, Tensor tensor) {
  const ValueId id = add_value(std::move(value_name));
  set_constant(id, std::move(tensor));
  return id;
}

void Graph::set_constant(ValueId id, Tensor tensor) {
  ValueDef& def = value(id);
  TREADLE_CHECK(!def.producer.valid(), kInternal, "constant '", def.name, "' has a producer");
  def.type = Type::tensor(tensor.dtype(), symbolic(tensor.dims()));
  def.constant = std::move(tensor);
}

void Graph::add_output(std::string output_name, ValueId id) {
  outputs_.push_back({std::move(output_name), id});
}

NodeId Graph::add_node(Node node) {
  const NodeId id{static_cast<uint32_t>(nodes_.size())};
  for_each_use(node, [&](ValueId v) { add_use(v, id); });
  for (ValueId v : node.outputs) {
    if (!v.valid()) continue;
    TREADLE_CHECK(!value(v).producer.valid() && !value(v).is_constant(), kInvalidModel, "value '",
                  value(v).name, "' is produced twice");
    value(v).producer = id;
  }
  nodes_.push_back(std::move(node));
  ++live_nodes_;
  return id;
}

void Graph::add_use(ValueId v, NodeId node) { value(v).users.push_back(node); }

void Graph::drop_use(ValueId v, NodeId node) {
  auto& users = value(v).users;
  const auto it = std::find(users.begin(), users.end(), node);
  if (it != users.end()) users.erase(it);
}

std::vector<NodeId> Graph::topological_order() const {
  // Kahn's algorithm with the smallest ready id first, over distinct producers.
  std::vector<uint32_t> waiting(nodes_.size(), 0);
  std::priority_queue<NodeId, std::vector<NodeId>, std::greater<>> ready;
  for (uint32_t i = 0; i < nodes_.size(); ++i) {
    if (nodes_[i].op == nullptr) continue;
    for_each_use(nodes_[i], [&](ValueId v) { waiting[i] += value(v).producer.valid() ? 1 : 0; });
    if (waiting[i] == 0) ready.push(NodeId{i});
  }
  std::vector<NodeId> order;
  order.reserve(live_nodes_);
  while (!ready.empty()) {
    const NodeId id = ready.top();
    ready.pop();
    order.push_back(id);
    for (ValueId v : node(id).outputs) {
      if (!v.valid()) continue;
      for (NodeId user : value(v).users) {
        if (--waiting[user.index] == 0) ready.push(user);
      }
    }
  }
  if (order.size() != live_nodes_) {
    for (uint32_t i = 0; i < nodes_.size(); ++i) {
      TREADLE_CHECK(nodes_[i].op == nullptr || waiting[i] == 0, kInvalidModel, describe(nodes_[i]),
                    " is part of, or behind, a cycle");
    }
  }
  return order;
}

const Node* Graph::producer(ValueId id) const {
  if (!id.valid() || !value(id).producer.valid()) return nullptr;
  return &node(value(id).producer);
}

bool Graph::is_output(ValueId id) const {
  return std::any_of(outputs_.begin(), outputs_.end(),
                     [&](const GraphOutput& o) { return o.value == id; });
}

ValueId Graph::find_value(std::string_view value_name) const {
  const auto it = names_.find(std::string(value_name));
  return it == names_.end() ? ValueId{} : ValueId{it->second};
}

void Graph::set_input(NodeId id, size_t index, ValueId to) {
  Node& n = nodes_[id.index];
  if (n.inputs.size() <= index) n.inputs.resize(index + 1);
  if (n.inputs[index].valid()) drop_use(n.inputs[index], id);
  n.inputs[index] = to;
  if (to.valid()) add_use(to, id);
}

void Graph::set_capture(NodeId id, size_t subgraph, size_t index, ValueId to) {
  ValueId& slot = nodes_[id.index].subgraphs[subgraph].captures[index];
  drop_use(slot, id);
  slot = to;
  add_use(to, id);
}

void Graph::remove_capture(NodeId id, size_t subgraph, size_t index) {
  std::vector<ValueId>& captures = nodes_[id.index].subgraphs[subgraph].captures;
  drop_use(captures[index], id);
  captures.erase(captures.begin() + static_cast<ptrdiff_t>(index));
}

void Graph::replace_uses(ValueId from, ValueId to) {
  if (from == to) return;
  const std::vector<NodeId> users = std::exchange(value(from).users, {});
  for (size_t i = 0; i < users.size(); ++i) {
    add_use(to, users[i]);
    if (i > 0 && users[i] == users[i - 1]) continue;
    Node& n = nodes_[users[i].index];
    for (ValueId& v : n.inputs) v = v == from ? to : v;  // no branch: there may be very many
    for (Subgraph& s : n.subgraphs) {
      std::replace(s.captures.begin(), s.captures.end(), from, to);
    }
  }
  for (GraphOutput& o : outputs_) {
    if (o.value == from) o.value = to;
  }
}

void Graph::remove_node(NodeId id) {
  Node& n = nodes_[id.index];
  for (ValueId v : n.outputs) {
    if (!v.valid()) continue;
    TREADLE_CHECK(value(v).users.empty() && !is_output(v), kInternal, "removing ", describe(n),
                  " whose output '", value(v).name, "' is still used");
    value(v).producer = NodeId{};
    names_.erase(value(v).name);
  }
  for_each_use(n, [&](ValueId v) { drop_use(v, id); });
  n = Node{};
  --live_nodes_;
}

void Graph::remove_input(size_t index) {
  const ValueId id = inputs_[index];
  TREADLE_CHECK(value(id).users.empty() && !is_output(id), kInternal, "removing used input '",
                value(id).name, "'");
  inputs_.erase(inputs_.begin() + static_cast<ptrdiff_t>(index));
  names_.erase(value(id).name);
}

void Graph::remove_constant(ValueId id) {
  ValueDef& def = value(id);
  TREADLE_CHECK(def.users.empty() && !is_output(id), kInternal, "removing used constant '",
                def.name, "'");
  def.constant = Tensor();
  names_.erase(def.name);
}

void Graph::rename_value(ValueId id, std::string_view wanted) {
  std::string& current = value(id).name;
  if (current == wanted) return;
  names_.erase(current);
  current = unique_name(wanted);
  names_.emplace(current, id.index);
}

size_t Graph::remove_dead() {
  std::vector<bool> wanted(values_.size(), false);
  for (const GraphOutput& o : outputs_) wanted[o.value.index] = true;
  const std::vector<NodeId> order = topological_order();
  size_t removed = 0;
  for (auto it = order.rbegin(); it != order.rend(); ++it) {
    const Node& n = node(*it);
    const bool live = std::any_of(n.outputs.begin(), n.outputs.end(), [&](ValueId v) {
      return v.valid() && (!value(v).users.empty() || wanted[v.index]);
    });
    if (live) continue;
    remove_node(*it);
    ++removed;
  }
  for (uint32_t i = 0; i < values_.size(); ++i) {
    ValueDef& def = values_[i];
    if (def.is_constant() && def.users.empty() && !wanted[i]) {
      def.constant = Tensor();
      names_.erase(def.name);
    }
  }
  return removed;
}

Graph Graph::clone() const {
  Graph copy = *this;
  for (Node& n : copy.nodes_) {
    for (Subgraph& s : n.subgraphs) s.graph = std::make_shared<Graph>(s.graph->clone());
  }
  return copy;
}

}  // namespace treadle

// The one graph type: SSA values and nodes, addressed by ids. Not thread-safe while it is changed.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "graph/attributes.h"
#include "graph/base/ids.h"
#include "graph/type.h"

namespace treadle {

struct Op;  // ops/op.h: the operator's row
class Graph;

// A body of If, Loop, Scan…: its graph's inputs are the formal inputs, then one for each captured
// outer value.
struct Subgraph {
  std::string attribute;         // "then_branch", "body"
  std::shared_ptr<Graph> graph;  // never shared between two nodes that are changed
  // Outer values, bound to the last captures.size() inputs of `graph`.
  std::vector<ValueId> captures;
  size_t formal_count() const;
};

struct Node {
  const Op* op = nullptr;
  std::string name;
  Attributes attributes;
  std::vector<ValueId> inputs;   // invalid ids are absent optional inputs
  std::vector<ValueId> outputs;  // invalid ids are outputs that nobody wants
  std::vector<Subgraph> subgraphs;
  // Names of the nodes of the imported file it came from; empty = its own name.
  std::vector<std::string> origins;
  // Of an added operator (ops/added.h): what it made of the attributes; copies share it. It keeps
  // the row.
  std::shared_ptr<const void> state;

  // Domain ai.onnx is spelled "".
  bool is(std::string_view kind, std::string_view domain = "") const;
  ValueId input(size_t i) const { return i < inputs.size() ? inputs[i] : ValueId{}; }
  ValueId output(size_t i = 0) const { return i < outputs.size() ? outputs[i] : ValueId{}; }
};

struct ValueDef {
  std::string name;           // unique in its graph
  Type type;                  // as declared or inferred
  Tensor constant;            // defined() for constants (initializers)
  Tensor default_value;       // of an input: what it is when nobody gives it; may be undefined
  NodeId producer;            // invalid for inputs and constants
  std::vector<NodeId> users;  // one entry a use, captures included
  bool is_constant() const { return constant.defined(); }
};

struct GraphOutput {
  std::string name;  // the interface name; may differ from the value's
  ValueId value;
};

// An input (of this name) that a run overwrites with what the output (of this interface name)
// becomes: parameters in training, optimizer slots, running statistics, caches. Same type.
struct State {
  std::string input;
  std::string output;
};

class Graph {
 public:
  std::string name;
  std::string doc;
  std::map<std::string, std::string>
      metadata;                      // metadata_props, producer_name, producer_version, …
  std::vector<std::string> ignored;  // what the imported file holds and this graph does not
  std::vector<State> states;

  // Building. A name that is taken gets a suffix (`unique_name`); "" gets one made from the kind.
  ValueId add_input(std::string name, Type type);
  ValueId add_constant(std::string name, Tensor tensor);
  ValueId add_value(std::string name, Type type = {});  // to become a node's output
  // `outputs` are fresh values; the node becomes their producer.
  NodeId add_node(Node node);
  void add_output(std::string name, ValueId value);

  const std::vector<ValueId>& inputs() const { return inputs_; }
  const std::vector<GraphOutput>& outputs() const { return outputs_; }
  const ValueDef& value(ValueId id) const { return values_[id.index]; }
  ValueDef& value(ValueId id) { return values_[id.index]; }
  const Node& node(NodeId id) const { return nodes_[id.index]; }
  // Attributes, name and origins may be changed through this; edges only by the functions below.
  Node& mutable_node(NodeId id) { return nodes_[id.index]; }
  size_t value_count() const { return values_.size(); }  // bound of ids, removed ones included
  size_t node_count() const { return live_nodes_; }
  bool alive(NodeId id) const { return id.valid() && nodes_[id.index].op != nullptr; }

  // Live nodes, producers first; nodes keep the order of creation where the edges leave a choice.
  // kInvalidModel naming a node on the cycle when there is one.
  std::vector<NodeId> topological_order() const;
  const Node* producer(ValueId id) const;  // null for inputs and constants
  bool is_output(ValueId id) const;
  bool has_one_use(ValueId id) const { return value(id).users.size() == 1 && !is_output(id); }
  ValueId find_value(std::string_view name) const;  // invalid when there is none

  // Rewriting.
  void set_input(NodeId node, size_t index, ValueId value);
  void set_capture(NodeId node, size_t subgraph, size_t index, ValueId value);
  void remove_capture(NodeId node, size_t subgraph, size_t index);  // not the body's input
  void replace_uses(ValueId from, ValueId to);  // in nodes, captures and outputs
  void set_output(size_t index, ValueId value) { outputs_[index].value = value; }
  void remove_node(NodeId id);      // its outputs must be unused
  void remove_input(size_t index);  // must be unused
  void remove_output(size_t index) {
    outputs_.erase(outputs_.begin() + static_cast<ptrdiff_t>(index));
  }
  // Removes every node whose outputs nobody reads, and the constants that only they read. Returns
  // how many nodes.
  size_t remove_dead();
  void set_constant(ValueId id, Tensor tensor);  // turns a value without producer into a constant
  void remove_constant(ValueId id);              // must be unused
  void rename_value(ValueId id, std::string_view name);  // made unique where it is taken

  std::string unique_name(std::string_view base) const;
  // A deep copy: same ids, shared constant bytes, subgraphs copied.
  Graph clone() const;

 private:
  void add_use(ValueId value, NodeId node);
  void drop_use(ValueId value, NodeId node);
  std::vector<ValueDef> values_;
  std::vector<Node> nodes_;
  std::vector<ValueId> inputs_;
  std::vector<GraphOutput> outputs_;
  std::unordered_map<std::string, uint32_t> names_;
  size_t live_nodes_ = 0;
};

// "node 'conv1' (Conv)".
std::string describe(const Node& node);
// Adds the node, as `describe` tells it, to an error's context; `more` follows.
void add_context(Error& error, const Node& node, std::string_view more = "");

// Calls f(ValueId) for each present input and capture of a node.
template <class F>
void for_each_use(const Node& node, F&& f) {
  for (ValueId v : node.inputs) {
    if (v.valid()) f(v);
  }
  for (const Subgraph& s : node.subgraphs) {
    for (ValueId v : s.captures) f(v);
  }
}

// Every invariant, one function each; kInvalidModel (from a file) or the pass's bug. Checks ids,
// producers, users, acyclicity, unique names, arity and attributes against the rows, subgraphs
// likewise.
void verify(const Graph& graph);

}  // namespace treadle

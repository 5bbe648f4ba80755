// Rewrites as values: a Pattern finds where, a Patch says what to add and whose readers move,
// `apply` does it in one checked step.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "graph/graph.h"

namespace treadle {

class Patch {
 public:
  // The values returned are the patch's own until it is applied; they mix with the graph's.
  ValueId constant(Tensor tensor);
  ValueId ints(const std::vector<int64_t>& values);
  ValueId op(std::string_view kind, std::vector<ValueId> inputs, Attributes attributes = {},
             std::string_view domain = "");
  // A node as given (subgraphs included, without captures); values for its `outputs`.
  std::vector<ValueId> node(Node node);
  // What reads `from`, a value of the graph, shall read `to`.
  void replace(ValueId from, ValueId to) { moves_.emplace_back(from, to); }

 private:
  friend class Application;
  struct Step {
    Tensor constant;
    Node node;                     // when no constant
    std::vector<ValueId> results;  // in the patch's ids
  };
  ValueId fresh();
  std::vector<Step> steps_;
  std::vector<std::pair<ValueId, ValueId>> moves_;
  uint32_t count_ = 0;
};

// Adds the patch's nodes, moves the readers, and removes the nodes that nobody reads any more. New
// nodes carry the origins of the removed ones, and the last takes over the name. Where an added
// node is not valid, or a reader would see another type, nothing changes and the reason is
// returned; else "".
std::string apply(Graph& graph, Patch patch);

// A subgraph to look for, in the text form (text.h), of one output. Inputs stand for any value
// (twice the same for twice the same); constants for constants whose only element is near; an
// attribute that is given must be equal, others may be anything; operands of commutative operators
// match in both orders.
class Pattern {
 public:
  explicit Pattern(std::string_view text);

  class Match {
   public:
    ValueId operator[](std::string_view name) const;  // the graph's value for the pattern's
    const std::vector<NodeId>& nodes() const { return nodes_; }
    // "" or why the nodes must stay: "node 'a' (Mul): its output is read elsewhere".
    std::string refused;

   private:
    friend class Pattern;
    friend class Matcher;
    const Graph* pattern_ = nullptr;
    std::vector<ValueId> values_;
    std::vector<NodeId> nodes_;
  };
  // The match whose last node is `root`.
  std::optional<Match> match(const Graph& graph, NodeId root) const;

 private:
  Graph graph_;
  NodeId root_;
};

// The only element of a constant of one element.
std::optional<double> scalar_value(const Tensor& tensor);

}  // namespace treadle

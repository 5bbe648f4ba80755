// Adds nodes by operator name, with types inferred as it goes. Used by decompositions, fusions,
// gradients and tests.
#pragma once

#include <initializer_list>
#include <string>
#include <vector>

#include "graph/graph.h"
#include "graph/ops/op.h"

namespace treadle {

class Builder {
 public:
  // Nodes added get `origins` (for provenance); `prefix` begins their names.
  explicit Builder(Graph& graph, std::string prefix = "", std::vector<std::string> origins = {});
  Graph& graph() { return graph_; }

  // One node; the values of its first `outputs` outputs. kInternal for an unknown operator.
  std::vector<ValueId> add(std::string_view kind, std::vector<ValueId> inputs,
                           Attributes attributes = {}, size_t outputs = 1,
                           std::string_view domain = "");
  // The node as given, with fresh values for its outputs; its subgraphs capture nothing.
  std::vector<ValueId> add(Node node);
  // The usual case: one output.
  ValueId op(std::string_view kind, std::vector<ValueId> inputs, Attributes attributes = {},
             std::string_view domain = "") {
    return add(kind, std::move(inputs), std::move(attributes), 1, domain)[0];
  }
  ValueId constant(Tensor tensor) {
    return graph_.add_constant(prefix_ + "const", std::move(tensor));
  }
  ValueId ints(const std::vector<int64_t>& values) {  // int64 vector
    return constant(Tensor::of<int64_t>({static_cast<int64_t>(values.size())}, values));
  }
  // A scalar of the given float or integer dtype.
  ValueId scalar(DType dtype, double value);
  const Type& type(ValueId id) const { return graph_.value(id).type; }

 private:
  Graph& graph_;
  std::string prefix_;
  std::vector<std::string> origins_;
};

// A scalar tensor of any number dtype or bool.
Tensor scalar_of(DType dtype, double value);

// A graph holding just the node's decomposition: one input for each input whose type is known
// (dtype or kind set), in order; one output for each output of the node. `types` follow
// node.inputs.
Graph decompose_alone(const Node& node, const std::vector<Type>& types);

// Replaces a composite node by its decomposition in place. False when the row has none.
bool expand(Graph& graph, NodeId id);

// Copies the nodes of `body` into `graph`, its inputs replaced by `inputs`; the values of its
// outputs.
std::vector<ValueId> inline_graph(Graph& graph, const Graph& body,
                                  const std::vector<ValueId>& inputs, std::string_view prefix = "");

}  // namespace treadle

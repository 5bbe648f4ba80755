// Bodies of control flow in the making: a graph of its own, whose last inputs stand for values of
// the graph around it.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "training/expr.h"

namespace treadle {

class Body {
 public:
  // Of a node that `outer` will add.
  explicit Body(Builder& outer);
  Body(const Body&) = delete;
  Body& operator=(const Body&) = delete;

  Builder& builder() { return builder_; }
  Graph& graph() { return *graph_; }
  // All formals come before the first capture.
  Expr formal(Type type);
  // The same input each time. Constants that cannot have a gradient are copied, so that what is
  // built here knows them.
  Expr capture(ValueId outer);
  // The results of another body of the same graph on these inputs; its captures follow.
  std::vector<Expr> inlined(const Subgraph& body, const std::vector<Expr>& formals);
  void output(const Expr& value) { graph_->add_output(graph_->value(value.id()).name, value.id()); }
  // As an attribute; the body is not to be used afterwards.
  Subgraph take(std::string attribute);

 private:
  Builder& outer_;
  std::shared_ptr<Graph> graph_;
  Builder builder_;
  std::map<uint32_t, ValueId> inner_;
  std::vector<ValueId> captures_;
};

// Adds a node with bodies; the values of its outputs.
std::vector<Expr> add_with_bodies(Builder& builder, Node node);

// A sequence of f of the elements of `sequences`, which are equally long.
using ElementFn = Expr (*)(const std::vector<Expr>& elements);
Expr map_sequences(const std::vector<Expr>& sequences, ElementFn f);
// The sum of values of one type, sequences element by element.
Expr sum_of(const std::vector<Expr>& values);

}  // namespace treadle

// Names while a file is read: which value a name means, and the captures that a body needs for it.
#pragma once

#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "graph/ops/op.h"

namespace treadle::onnx {

// One graph under construction: the model's, or a body's.
struct GraphBuild {
  explicit GraphBuild(Graph& to) : graph(to) {}
  Graph& graph;
  std::vector<ValueId> captures;  // in the enclosing graph; the last inputs of `graph`
  // What is known of a value: inferred, or from its definition.
  const Known& known(ValueId id);
  void set_known(ValueId id, Known known);

 private:
  std::vector<Known> known_;
  std::vector<bool> set_;
};

// The names of one graph, or of one call of a function that is being inlined into it.
struct Scope {
  GraphBuild& build;
  Scope* outer = nullptr;  // of the node that owns this body; a function sees no outer names
  std::unordered_map<std::string, ValueId> names;

  // kInvalidModel when the name is taken here.
  void define(const std::string& name, ValueId id);
  // The value in build.graph, captured from outside where necessary; an invalid id for an input
  // that a function's caller left out; nothing for an unknown name. Constants are not captured:
  // bodies get constants of their own that share the bytes.
  std::optional<ValueId> find(const std::string& name);
};

}  // namespace treadle::onnx

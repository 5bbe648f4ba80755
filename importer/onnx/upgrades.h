// Lifts nodes of older opsets to the rows' one opset, by a table of {operator, opset, step}.
#pragma once

#include <string>
#include <string_view>

#include "graph/builder.h"

namespace treadle::onnx {

// A node as the file has it: its kind need not have a row, its attributes may be of another opset.
struct OldNode {
  std::string kind;
  std::string domain;
  std::string name;
  Attributes attributes;
  std::vector<ValueId> inputs;
  size_t outputs = 0;  // how many, absent ones before the last included
  std::vector<Subgraph> subgraphs;
  ValueId input(size_t i) const { return i < inputs.size() ? inputs[i] : ValueId{}; }
};

// Lifts the node from its domain's `opset`. What must be computed before it goes into the builder's
// graph. kUnsupported where the old meaning cannot be said in the new opset.
void upgrade(OldNode& node, int64_t opset, Builder& builder);
// The kind that the table turns `kind` into (Upsample becomes Resize); itself for most.
std::string_view current_kind(std::string_view kind, std::string_view domain);

}  // namespace treadle::onnx

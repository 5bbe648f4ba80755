// A list of nodes that is being read: a graph's, or those of one call of a function.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "importer/onnx/describe.h"
#include "importer/onnx/order.h"
#include "importer/onnx/scope.h"

namespace treadle::onnx {

struct Frame {
  const NodeList* nodes = nullptr;
  std::vector<int> order;
  size_t next = 0;
  Scope* scope = nullptr;
  std::shared_ptr<const Opsets> opsets;
  std::map<std::string, const pb::AttributeProto*> attributes;  // of the function
  std::string prefix;                                           // of names
  std::string origin;  // the model's node that the call stands in; empty outside functions

  // Of a function's call.
  const pb::FunctionProto* function = nullptr;
  const pb::NodeProto* call = nullptr;
  std::unique_ptr<Scope> own_scope;

  // Of the node that is being read, in the list.
  int index() const { return order[next - 1]; }
  // A node's own name, or one made from its place.
  std::string name_of(const pb::NodeProto& node) const {
    if (!node.name().empty()) return prefix + node.name();
    return cat(prefix, node.op_type(), "_", index());
  }
  // How messages name that node.
  std::string here(const pb::NodeProto& node) const {
    if (!node.name().empty()) return cat("node '", name_of(node), "' (", full_kind(node), ")");
    const std::string caller =
        prefix.empty() ? "" : cat(" of '", prefix.substr(0, prefix.size() - 1), "'");
    return describe(node, index()) + caller;
  }
  // The attribute itself, or what a reference to the function's attribute stands for; null when
  // that was not given.
  const pb::AttributeProto* resolve(const pb::AttributeProto& attribute) const {
    if (attribute.ref_attr_name().empty()) return &attribute;
    const auto it = attributes.find(attribute.ref_attr_name());
    return it == attributes.end() ? nullptr : it->second;
  }
};

}  // namespace treadle::onnx

// Small models by the schema's classes, for the importer's tests.
#pragma once

#include <string>

#include "tests/support/folder.h"
#include "treadle_onnx.pb.h"

namespace treadle::test {

namespace pb = treadle_onnx;

inline void add_value(pb::ValueInfoProto& info, const std::string& name,
                      int dtype = pb::TensorProto::FLOAT,
                      std::initializer_list<int64_t> dims = {2, 3}) {
  info.set_name(name);
  auto& t = *info.mutable_type()->mutable_tensor_type();
  t.set_elem_type(dtype);
  t.mutable_shape();
  for (int64_t d : dims) t.mutable_shape()->add_dim()->set_dim_value(d);
}

inline pb::NodeProto& add_node(pb::GraphProto& graph, const std::string& kind,
                               std::initializer_list<std::string> inputs,
                               std::initializer_list<std::string> outputs) {
  auto& node = *graph.add_node();
  node.set_op_type(kind);
  node.set_name("n" + std::to_string(graph.node_size()));
  for (const auto& i : inputs) node.add_input(i);
  for (const auto& o : outputs) node.add_output(o);
  return node;
}

inline pb::AttributeProto& add_attribute(pb::NodeProto& node, const std::string& name,
                                         pb::AttributeProto::AttributeType type) {
  auto& a = *node.add_attribute();
  a.set_name(name);
  a.set_type(type);
  return a;
}

inline pb::TensorProto& set_tensor(pb::TensorProto& t, const std::string& name, int dtype,
                                   std::initializer_list<int64_t> dims) {
  t.set_name(name);
  t.set_data_type(dtype);
  for (int64_t d : dims) t.add_dims(d);
  return t;
}

inline pb::TensorProto& add_initializer(pb::ModelProto& model, const std::string& name, int dtype,
                                        std::initializer_list<int64_t> dims) {
  return set_tensor(*model.mutable_graph()->add_initializer(), name, dtype, dims);
}

inline void add_external(pb::TensorProto& t, const std::string& key, const std::string& value) {
  t.set_data_location(pb::TensorProto::EXTERNAL);
  auto& entry = *t.add_external_data();
  entry.set_key(key);
  entry.set_value(value);
}

// x (float[2, 3]) and no node.
inline pb::ModelProto empty_model(int64_t opset = 21) {
  pb::ModelProto model;
  model.set_ir_version(8);
  model.add_opset_import()->set_version(opset);
  model.mutable_graph()->set_name("g");
  add_value(*model.mutable_graph()->add_input(), "x");
  return model;
}
// x -> Relu -> y.
inline pb::ModelProto relu_model(int64_t opset = 21) {
  pb::ModelProto model = empty_model(opset);
  add_node(*model.mutable_graph(), "Relu", {"x"}, {"y"});
  add_value(*model.mutable_graph()->add_output(), "y");
  return model;
}
// x + w -> y; w is left to the caller.
inline pb::ModelProto add_model() {
  pb::ModelProto model = empty_model();
  add_node(*model.mutable_graph(), "Add", {"x", "w"}, {"y"});
  add_value(*model.mutable_graph()->add_output(), "y");
  return model;
}

}  // namespace treadle::test

// What a good file becomes: storage forms, constants, functions, names.
#include <gtest/gtest.h>

#include <functional>
#include <set>
#include <span>

#include "graph/builder.h"
#include "importer/importer.h"
#include "tests/importer/models.h"

namespace treadle {
namespace {

using namespace test;
namespace fs = std::filesystem;
using Proto = pb::TensorProto;
using Attr = pb::AttributeProto;

Graph load_model(const pb::ModelProto& m, const LoadOptions& options = {},
                 const fs::path& folder = {}) {
  const std::string bytes = m.SerializeAsString();
  return load_bytes(std::as_bytes(std::span(bytes)), folder, options);
}

// The first output of the model for x = 0 1 2 / 3 4 5.
Tensor run(const Graph& graph) {
  return evaluate(graph, {Tensor::of<float>({2, 3}, {0, 1, 2, 3, 4, 5})})[0].tensor();
}

// A model whose output is its initializer.
Tensor initializer(const std::function<void(Proto&)>& fill) {
  pb::ModelProto m = empty_model();
  Proto& t = add_initializer(m, "w", Proto::FLOAT, {});
  fill(t);
  add_value(*m.mutable_graph()->add_output(), "w", t.data_type());
  return evaluate(load_model(m), {Tensor::zeros(DType::kFloat, {2, 3})})[0].tensor();
}

TEST(Load, TypedData) {
  const Tensor f =
      initializer([](Proto& t) { t.add_dims(2), t.add_float_data(1.5f), t.add_float_data(-2); });
  EXPECT_EQ(f.to_doubles(), (std::vector<double>{1.5, -2}));
  const Tensor half =
      initializer([](Proto& t) { t.set_data_type(Proto::FLOAT16), t.add_int32_data(0x3c00); });
  EXPECT_EQ(half.to_doubles(), (std::vector<double>{1}));
  const Tensor i8 = initializer([](Proto& t) {
    t.set_data_type(Proto::INT8), t.add_dims(2), t.add_int32_data(-5), t.add_int32_data(7);
  });
  EXPECT_EQ(i8.to_ints(), (std::vector<int64_t>{-5, 7}));
  const Tensor b = initializer([](Proto& t) { t.set_data_type(Proto::BOOL), t.add_int32_data(2); });
  EXPECT_EQ(b.to_ints(), (std::vector<int64_t>{1}));
  const Tensor u =
      initializer([](Proto& t) { t.set_data_type(Proto::UINT32), t.add_uint64_data(4000000000u); });
  EXPECT_EQ(u.to_ints(), (std::vector<int64_t>{4000000000}));
  const Tensor c = initializer([](Proto& t) {
    t.set_data_type(Proto::COMPLEX64), t.add_float_data(1), t.add_float_data(2);
  });
  EXPECT_EQ(c.data<std::complex<float>>()[0], std::complex<float>(1, 2));
  const Tensor s = initializer([](Proto& t) {
    t.set_data_type(Proto::STRING), t.add_dims(2), t.add_string_data("a"), t.add_string_data("");
  });
  EXPECT_EQ(s.data<std::string>()[0], "a");
}

TEST(Load, PackedData) {
  const Tensor typed = initializer([](Proto& t) {
    t.set_data_type(Proto::INT4), t.add_dims(3), t.add_int32_data(0x21), t.add_int32_data(0x03);
  });
  const Tensor raw = initializer([](Proto& t) {
    t.set_data_type(Proto::INT4), t.add_dims(3), t.set_raw_data(std::string("\x21\x03"));
  });
  EXPECT_EQ(typed.count(), 3);
  EXPECT_TRUE(typed == raw);
  const Tensor six = initializer([](Proto& t) {
    t.set_data_type(Proto::FLOAT6E3M2), t.add_dims(5);
    for (int code : {0x3f, 0, 1, 0x2a, 0x15}) t.add_int32_data(code);
  });
  const Tensor raw_six = initializer([](Proto& t) {
    t.set_data_type(Proto::FLOAT6E3M2), t.add_dims(5);
    t.set_raw_data(std::string("\x3f\x10\xa8\x15", 4));
  });
  EXPECT_TRUE(six == raw_six);
}

TEST(Load, RawDataOfAnySize) {
  for (int64_t count : {0, 1, 1023, 1024, 1025, 5000, 100000}) {
    std::vector<float> data(static_cast<size_t>(count));
    for (size_t i = 0; i < data.size(); ++i) data[i] = static_cast<float>(i);
    const std::string bytes(reinterpret_cast<const char*>(data.data()),
                            data.size() * sizeof(float));
    const Tensor t = initializer([&](Proto& p) { p.add_dims(count), p.set_raw_data(bytes); });
    EXPECT_TRUE(t == Tensor::of<float>({count}, data)) << count;
    EXPECT_EQ(reinterpret_cast<uintptr_t>(t.raw()) % kAlignment, 0u);
  }
}

// Protobuf keeps the last raw_data when there are two; the span of the first must not be used.
TEST(Load, RawDataTwice) {
  pb::ModelProto m = empty_model();
  add_value(*m.mutable_graph()->add_output(), "w");
  std::string bytes = m.SerializeAsString();
  Proto large;
  set_tensor(large, "w", Proto::FLOAT, {4}).set_raw_data(std::string(8192, 'x'));
  Proto small;
  small.set_raw_data(std::string("\0\0\x80\x3f\0\0\0\x40\0\0\x40\x40\0\0\x80\x40", 16));
  const std::string tensor = large.SerializeAsString() + small.SerializeAsString();
  auto field = [](char tag, const std::string& body) {
    std::string length;
    for (size_t n = body.size(); n != 0; n >>= 7)
      length += static_cast<char>((n & 0x7f) | (n > 0x7f ? 0x80 : 0));
    return std::string(1, tag) + length + body;
  };
  bytes += field('\x3a', field('\x2a', tensor));  // ModelProto.graph, GraphProto.initializer
  const Graph graph = load_bytes(std::as_bytes(std::span(bytes)));
  EXPECT_EQ(run(graph).to_doubles(), (std::vector<double>{1, 2, 3, 4}));
}

TEST(Load, SparseInitializer) {
  pb::ModelProto m = empty_model();
  auto& s = *m.mutable_graph()->add_sparse_initializer();
  s.add_dims(2), s.add_dims(2);
  auto& values = set_tensor(*s.mutable_values(), "w", Proto::FLOAT, {2});
  values.add_float_data(5), values.add_float_data(7);
  auto& indices = set_tensor(*s.mutable_indices(), "", Proto::INT64, {2, 2});
  for (int64_t i : {0, 1, 1, 0}) indices.add_int64_data(i);
  add_value(*m.mutable_graph()->add_output(), "w");
  EXPECT_EQ(run(load_model(m)).to_doubles(), (std::vector<double>{0, 5, 7, 0}));
}

TEST(Load, ConstantForms) {
  const std::vector<std::function<void(pb::NodeProto&)>> forms = {
      [](auto& n) {
        set_tensor(*add_attribute(n, "value", Attr::TENSOR).mutable_t(), "", Proto::INT64, {})
            .add_int64_data(3);
      },
      [](auto& n) { add_attribute(n, "value_int", Attr::INT).set_i(3); },
      [](auto& n) { add_attribute(n, "value_ints", Attr::INTS).add_ints(3); },
      [](auto& n) { add_attribute(n, "value_float", Attr::FLOAT).set_f(3); },
      [](auto& n) { add_attribute(n, "value_floats", Attr::FLOATS).add_floats(3); },
      [](auto& n) { add_attribute(n, "value_string", Attr::STRING).set_s("3"); },
      [](auto& n) { add_attribute(n, "value_strings", Attr::STRINGS).add_strings("3"); },
  };
  for (const auto& form : forms) {
    pb::ModelProto m = empty_model();
    form(add_node(*m.mutable_graph(), "Constant", {}, {"c"}));
    m.mutable_graph()->add_output()->set_name("c");
    const Graph graph = load_model(m);
    EXPECT_EQ(graph.node_count(), 0u);
    const Tensor t = run(graph);
    ASSERT_EQ(t.count(), 1);
    if (t.dtype() == DType::kString) {
      EXPECT_EQ(t.data<std::string>()[0], "3");
    } else {
      EXPECT_EQ(t.to_doubles()[0], 3);
    }
  }
}

TEST(Load, InitializersThatAreInputs) {
  pb::ModelProto m = add_model();
  add_value(*m.mutable_graph()->add_input(), "w", Proto::FLOAT, {});
  add_initializer(m, "w", Proto::FLOAT, {}).add_float_data(10);
  EXPECT_EQ(load_model(m).inputs().size(), 1u);
  LoadOptions options;
  options.overridable = {"w"};
  EXPECT_EQ(load_model(m, options).inputs().size(), 2u);
  options.overridable = {"*"};
  EXPECT_EQ(load_model(m, options).inputs().size(), 2u);
  m.set_ir_version(3);
  EXPECT_EQ(load_model(m, options).inputs().size(), 1u);
  options.overridable = {"v"};
  EXPECT_THROW(load_model(m, options), Error);
}

TEST(Load, OverridableInputsKeepTheirValue) {
  pb::ModelProto m = add_model();
  add_value(*m.mutable_graph()->add_input(), "w", Proto::FLOAT, {});
  Proto& w = add_initializer(m, "w", Proto::FLOAT, {});
  w.add_float_data(10);
  LoadOptions options;
  options.overridable = {"w"};
  const Graph graph = load_model(m, options);
  const ValueDef& def = graph.value(graph.inputs()[1]);
  EXPECT_FALSE(def.is_constant());
  EXPECT_TRUE(def.default_value == Tensor::scalar(10.f));
  pb::ModelProto again;
  ASSERT_TRUE(again.ParseFromString(save_bytes(graph)));
  EXPECT_EQ(again.graph().input_size(), 2);
  ASSERT_EQ(again.graph().initializer_size(), 1);
  EXPECT_EQ(again.graph().initializer(0).name(), "w");
  EXPECT_TRUE(load_model(again, options).value(graph.inputs()[1]).default_value ==
              Tensor::scalar(10.f));
  w.add_dims(1);
  EXPECT_THROW(load_model(m, options), Error);
}

TEST(Load, DimensionsThatOptionsSize) {
  pb::ModelProto m = relu_model();
  auto& shape =
      *m.mutable_graph()->mutable_input(0)->mutable_type()->mutable_tensor_type()->mutable_shape();
  shape.clear_dim();
  auto& batch = *shape.add_dim();
  batch.set_dim_param("N");
  batch.set_denotation("DATA_BATCH");
  shape.add_dim()->set_denotation("DATA_CHANNEL");
  auto text = [&](const LoadOptions& options) {
    const Graph graph = load_model(m, options);
    return graph.value(graph.inputs()[0]).type.text();
  };
  LoadOptions options;
  options.dims = {{"N", 4}, {"M", 5}};
  EXPECT_EQ(text(options), "float[4, x_dim1]");
  options.denoted_dims = {{"DATA_BATCH", 7}, {"DATA_CHANNEL", 3}};
  EXPECT_EQ(text(options), "float[4, 3]");
  options.dims.clear();
  EXPECT_EQ(text(options), "float[7, 3]");
  m.mutable_graph()->mutable_input(0)->mutable_type()->mutable_tensor_type()->clear_shape();
  EXPECT_EQ(text(options), "float?");
}

TEST(Load, OutputsListedTwice) {
  pb::ModelProto m = relu_model();
  add_value(*m.mutable_graph()->add_output(), "y");
  add_value(*m.mutable_graph()->add_output(), "x");
  add_value(*m.mutable_graph()->add_output(), "x");
  pb::ModelProto again;
  ASSERT_TRUE(again.ParseFromString(save_bytes(load_model(m))));
  for (const Graph& graph : {load_model(m), load_model(again)}) {
    const auto outputs = evaluate(graph, {Tensor::of<float>({2, 3}, {-1, 1, 2, 3, 4, 5})});
    ASSERT_EQ(outputs.size(), 4u);
    EXPECT_EQ(graph.outputs()[1].name, "y");
    EXPECT_TRUE(outputs[0].tensor() == outputs[1].tensor());
    EXPECT_TRUE(outputs[2].tensor() == outputs[3].tensor());
    EXPECT_EQ(outputs[1].tensor().to_doubles()[0], 0);
    EXPECT_EQ(outputs[3].tensor().to_doubles()[0], -1);
  }
}

TEST(Load, OutputsOfBranchesListedTwice) {
  pb::ModelProto m = empty_model();
  add_value(*m.mutable_graph()->add_input(), "c", Proto::BOOL, {});
  auto& node = add_node(*m.mutable_graph(), "If", {"c"}, {"a", "b"});
  for (const char* branch : {"then_branch", "else_branch"}) {
    auto& body = *add_attribute(node, branch, Attr::GRAPH).mutable_g();
    body.set_name(branch);
    add_node(body, branch[0] == 't' ? "Relu" : "Neg", {"x"}, {"t"});
    for (int i = 0; i < 2; ++i) add_value(*body.add_output(), "t");
  }
  add_value(*m.mutable_graph()->add_output(), "a");
  add_value(*m.mutable_graph()->add_output(), "b");
  pb::ModelProto again;
  ASSERT_TRUE(again.ParseFromString(save_bytes(load_model(m))));
  for (const Graph& graph : {load_model(m), load_model(again)}) {
    const auto outputs =
        evaluate(graph, {Tensor::zeros(DType::kFloat, {2, 3}), Tensor::scalar(true)});
    EXPECT_TRUE(outputs[0].tensor() == outputs[1].tensor());
  }
}

TEST(Load, TrainingInformationIsReported) {
  pb::ModelProto m = relu_model();
  EXPECT_TRUE(load_model(m).ignored.empty());
  m.add_training_info();
  EXPECT_EQ(load_model(m).ignored.size(), 1u);
}

TEST(Load, CallsShareConstantsOfTheirFunction) {
  pb::ModelProto m = empty_model();
  auto& import = *m.add_opset_import();
  import.set_domain("f");
  import.set_version(1);
  auto& f = *m.add_functions();
  f.set_name("F");
  f.set_domain("f");
  f.add_output("c");
  f.add_opset_import()->set_version(21);
  auto& constant = *f.add_node();
  constant.set_op_type("Constant");
  constant.add_output("c");
  add_attribute(constant, "value_floats", Attr::FLOATS).add_floats(1);
  for (const char* out : {"a", "b"}) {
    add_node(*m.mutable_graph(), "F", {}, {out}).set_domain("f");
    m.mutable_graph()->add_output()->set_name(out);
  }
  const Graph graph = load_model(m);
  EXPECT_EQ(graph.value(graph.outputs()[0].value).constant.raw(),
            graph.value(graph.outputs()[1].value).constant.raw());
}

TEST(Load, NodesInAnyOrder) {
  pb::ModelProto m = empty_model();
  add_node(*m.mutable_graph(), "Neg", {"a"}, {"y"});
  add_node(*m.mutable_graph(), "Relu", {"x"}, {"a"});
  add_value(*m.mutable_graph()->add_output(), "y");
  EXPECT_EQ(run(load_model(m)).to_doubles()[5], -5);
}

TEST(Load, NamesOfNodes) {
  pb::ModelProto m = relu_model();
  for (const char* out : {"a", "b"})
    add_node(*m.mutable_graph(), "Relu", {"x"}, {out}).set_name("n1");
  add_node(*m.mutable_graph(), "Relu", {"x"}, {"c"}).clear_name();
  const Graph graph = load_model(m);
  std::set<std::string> names;
  for (NodeId id : graph.topological_order()) names.insert(graph.node(id).name);
  EXPECT_EQ(names, (std::set<std::string>{"n1", "n1_1", "n1_2", "Relu_3"}));
}

TEST(Load, Metadata) {
  pb::ModelProto m = relu_model();
  m.set_producer_name("maker");
  auto& entry = *m.add_metadata_props();
  entry.set_key("classes");
  entry.set_value("a b");
  const Graph graph = load_model(m);
  EXPECT_EQ(graph.metadata.at("producer_name"), "maker");
  EXPECT_EQ(graph.metadata.at("classes"), "a b");
}

// A function with an attribute that has a default, called with and without it.
TEST(Load, FunctionsAreInlined) {
  pb::ModelProto m = empty_model();
  auto& import = *m.add_opset_import();
  import.set_domain("f");
  import.set_version(1);
  auto& f = *m.add_functions();
  f.set_name("Shift");
  f.set_domain("f");
  f.add_input("a");
  f.add_input("unused");
  f.add_output("b");
  f.add_opset_import()->set_version(21);
  auto& by = *f.add_attribute_proto();
  by.set_name("by");
  by.set_type(Attr::FLOAT);
  by.set_f(100);
  auto& constant = *f.add_node();
  constant.set_op_type("Constant");
  constant.add_output("c");
  add_attribute(constant, "value_float", Attr::FLOAT).set_ref_attr_name("by");
  auto& add = *f.add_node();
  add.set_op_type("Add");
  add.add_input("a"), add.add_input("c");
  add.add_output("b");
  auto& first = add_node(*m.mutable_graph(), "Shift", {"x"}, {"h"});
  first.set_domain("f");
  add_attribute(first, "by", Attr::FLOAT).set_f(10);
  add_node(*m.mutable_graph(), "Shift", {"h"}, {"y"}).set_domain("f");
  add_value(*m.mutable_graph()->add_output(), "y");
  const Graph graph = load_model(m);
  EXPECT_EQ(graph.node_count(), 2u);
  EXPECT_EQ(run(graph).to_doubles()[0], 110);
}

TEST(Load, LongChain) {
  pb::ModelProto m = empty_model();
  std::string last = "x";
  for (int i = 0; i < 20000; ++i) {
    const std::string next = "v" + std::to_string(i);
    add_node(*m.mutable_graph(), "Relu", {last}, {next});
    last = next;
  }
  add_value(*m.mutable_graph()->add_output(), last);
  EXPECT_EQ(load_model(m).node_count(), 20000u);
}

TEST(Load, Limits) {
  LoadOptions options;
  options.limits.max_nodes = 1;
  EXPECT_NO_THROW(load_model(relu_model(), options));
  options.limits.max_nodes = 0;
  EXPECT_THROW(load_model(relu_model(), options), Error);
}

TEST(LoadValue, Tensor) {
  const Folder folder;
  Proto t;
  set_tensor(t, "x", Proto::INT32, {2}).add_int32_data(4);
  t.add_int32_data(5);
  write_file(folder / "t.pb", t.SerializeAsString());
  std::string name;
  const Value value = load_value(folder / "t.pb", Type::tensor(DType::kInt32), &name);
  EXPECT_EQ(value.tensor().to_ints(), (std::vector<int64_t>{4, 5}));
  EXPECT_EQ(name, "x");
}

}  // namespace
}  // namespace treadle

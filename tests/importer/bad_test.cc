// Files that must be refused: a broken file, its code, and what the message must say.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "importer/importer.h"
#include "tests/importer/bad.h"

namespace treadle {
namespace {

using namespace test;

pb::TypeProto::Tensor& input_type(pb::ModelProto& m) {
  return *m.mutable_graph()->mutable_input(0)->mutable_type()->mutable_tensor_type();
}

std::vector<Bad> files() {
  const std::string good = relu_model().SerializeAsString();
  return {
      {"missing", Code::kIo, {"cannot open"}, [](const Folder&) {}},
      {"folder",
       Code::kIo,
       {"not a regular file"},
       [](const Folder& f) { fs::create_directory(f / "m.onnx"); }},
      {"fifo",
       Code::kIo,
       {"not a regular file"},
       [](const Folder& f) { mkfifo((f / "m.onnx").c_str(), 0600); }},
      bytes("empty", Code::kInvalidModel, {"empty"}, ""),
      bytes("truncated", Code::kInvalidModel, {"cut off"}, good.substr(0, good.size() - 7)),
      bytes("text", Code::kInvalidModel, {"not"}, "hello, this is no model at all\n"),
      bytes("json", Code::kInvalidModel, {"JSON"}, "{\"model\": 1}"),
      bytes("html", Code::kInvalidModel, {"HTML"}, "<!DOCTYPE html><html>"),
      bytes("zip", Code::kInvalidModel, {"ZIP"}, "PK\x03\x04 and more"),
      bytes("lfs", Code::kInvalidModel, {"git lfs pull"},
            "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n"),
      bytes("random", Code::kInvalidModel, {"byte"},
            "\xff\xfe\xfd\xfc\xfb\xfa\xf9\xf8\xf7\xf6\xf5\xff"),
      bytes("wire_type", Code::kInvalidModel, {"malformed"}, "\x0f\x01\x02\x03"),
      bytes("unknown_fields", Code::kInvalidModel, {"no graph"}, "\xf8\x3f\x01"),
      bytes("groups", Code::kInvalidModel, {"malformed"}, std::string(100000, '\x0b')),
  };
}

std::vector<Bad> heads() {
  return {
      model("no_graph", Code::kInvalidModel, {"no graph"},
            [](pb::ModelProto& m) { m.clear_graph(); }),
      model("no_ir_version", Code::kInvalidModel, {"IR version"},
            [](pb::ModelProto& m) { m.clear_ir_version(); }),
      model("new_ir_version", Code::kUnsupported, {"IR version 99"},
            [](pb::ModelProto& m) { m.set_ir_version(99); }),
      model("new_opset", Code::kUnsupported, {"opset 99", "newest known"},
            [](pb::ModelProto& m) { m.mutable_opset_import(0)->set_version(99); }),
      model("opset_zero", Code::kInvalidModel, {"opset 0"},
            [](pb::ModelProto& m) { m.mutable_opset_import(0)->set_version(0); }),
      model("opset_twice", Code::kInvalidModel, {"twice"},
            [](pb::ModelProto& m) { m.add_opset_import()->set_version(20); }),
      model("not_imported", Code::kUnsupported, {"Frob", "does not import"},
            [](pb::ModelProto& m) {
              m.mutable_graph()->mutable_node(0)->set_op_type("Frob");
              m.mutable_graph()->mutable_node(0)->set_domain("org.example");
            }),
      model("unknown_operators", Code::kUnsupported, {"Frob", "Nicate", "2 more"},
            [](pb::ModelProto& m) {
              for (const char* out : {"a", "b", "c"}) {
                add_node(*m.mutable_graph(), "Frob", {"x"}, {out});
              }
              add_node(*m.mutable_graph(), "Nicate", {"x"}, {"z"});
            }),
  };
}

std::vector<Bad> names() {
  return {
      node("missing_input", Code::kInvalidModel, {"n1", "'gone'"},
           [](pb::NodeProto& n) { n.set_input(0, "gone"); }),
      model(
          "missing_initializer", Code::kInvalidModel, {"n1", "'w'"}, [](pb::ModelProto&) {},
          add_model()),
      model("missing_output", Code::kInvalidModel, {"'z'"},
            [](pb::ModelProto& m) { add_value(*m.mutable_graph()->add_output(), "z"); }),
      model("value_twice", Code::kInvalidModel, {"n2", "'y'", "twice"},
            [](pb::ModelProto& m) { add_node(*m.mutable_graph(), "Relu", {"x"}, {"y"}); }),
      model("input_twice", Code::kInvalidModel, {"'x'", "twice"},
            [](pb::ModelProto& m) { add_value(*m.mutable_graph()->add_input(), "x"); }),
      model("initializer_twice", Code::kInvalidModel, {"'w'", "twice"},
            [](pb::ModelProto& m) {
              add_initializer(m, "w", Proto::FLOAT, {1}).add_float_data(1);
              add_initializer(m, "w", Proto::FLOAT, {1}).add_float_data(1);
            }),
      model("initializer_without_name", Code::kInvalidModel, {"no name"},
            [](pb::ModelProto& m) { add_initializer(m, "", Proto::FLOAT, {1}).add_float_data(1); }),
      model("input_without_name", Code::kInvalidModel, {"no name"},
            [](pb::ModelProto& m) { add_value(*m.mutable_graph()->add_input(), ""); }),
      model("cycle", Code::kInvalidModel, {"cycle", "n"},
            [](pb::ModelProto& m) {
              add_node(*m.mutable_graph(), "Relu", {"b"}, {"a"});
              add_node(*m.mutable_graph(), "Relu", {"a"}, {"b"});
            }),
      model("cycle_without_names", Code::kInvalidModel, {"node #1 (Relu, output 'a')", "cycle"},
            [](pb::ModelProto& m) {
              add_node(*m.mutable_graph(), "Relu", {"b"}, {"a"}).clear_name();
              add_node(*m.mutable_graph(), "Relu", {"a"}, {"b"}).clear_name();
            }),
      node("missing_input_without_name", Code::kInvalidModel,
           {"node #0 (Relu, output 'y')", "'gone'"},
           [](pb::NodeProto& n) { n.clear_name(), n.set_input(0, "gone"); }),
      node("unknown_without_name", Code::kUnsupported,
           {"Frob (opset 21) at node #0 (Frob, output 'y')"},
           [](pb::NodeProto& n) { n.clear_name(), n.set_op_type("Frob"); }),
      node("name_of_many_lines", Code::kInvalidModel, {"'a?b?[2J'"},
           [](pb::NodeProto& n) { n.set_input(0, "a\nb\x1b[2J"); }),
      node("self_loop", Code::kInvalidModel, {"cycle", "n1"},
           [](pb::NodeProto& n) { n.set_input(0, "y"); }),
      model("output_type", Code::kInvalidModel, {"'y'", "int64", "float"},
            [](pb::ModelProto& m) {
              auto& type = *m.mutable_graph()->mutable_output(0)->mutable_type();
              type.mutable_tensor_type()->set_elem_type(Proto::INT64);
            }),
      weight("shapes_that_do_not_fit", Code::kInvalidModel, {"n1", "Add"},
             [](Proto& t) { set_dims(t, {4}), t.set_raw_data(std::string(16, '\0')); }),
      weight("types_that_do_not_fit", Code::kInvalidModel, {"n1", "Add", "int64"},
             [](Proto& t) { t.set_data_type(Proto::INT64), t.add_int64_data(1); }),
      model("input_dim_negative", Code::kInvalidModel, {"'x'", "-7"},
            [](pb::ModelProto& m) {
              input_type(m).mutable_shape()->mutable_dim(0)->set_dim_value(-7);
            }),
      model("input_element_type", Code::kInvalidModel, {"'x'", "77"},
            [](pb::ModelProto& m) { input_type(m).set_elem_type(77); }),
      model("input_of_opaque_type", Code::kUnsupported, {"'x'", "opaque"},
            [](pb::ModelProto& m) {
              m.mutable_graph()->mutable_input(0)->mutable_type()->mutable_opaque_type();
            }),
  };
}

std::vector<Bad> nodes() {
  return {
      node("unknown_attribute", Code::kInvalidModel, {"n1", "'slope'"},
           [](pb::NodeProto& n) { add_attribute(n, "slope", Attr::FLOAT).set_f(1); }),
      node("attribute_of_wrong_kind", Code::kInvalidModel, {"n1", "'axis'", "kind f"},
           [](pb::NodeProto& n) {
             n.set_op_type("Flatten");
             add_attribute(n, "axis", Attr::FLOAT).set_f(1);
           }),
      node("attribute_without_value", Code::kInvalidModel, {"n1", "'axis'", "INT"},
           [](pb::NodeProto& n) {
             n.set_op_type("Flatten");
             add_attribute(n, "axis", Attr::INT);
           }),
      node("attribute_without_type", Code::kInvalidModel, {"n1", "'axis'"},
           [](pb::NodeProto& n) {
             n.set_op_type("Flatten");
             n.add_attribute()->set_name("axis");
           }),
      node("attribute_twice", Code::kInvalidModel, {"n1", "'axis'", "twice"},
           [](pb::NodeProto& n) {
             n.set_op_type("Flatten");
             add_attribute(n, "axis", Attr::INT).set_i(1);
             add_attribute(n, "axis", Attr::INT).set_i(1);
           }),
      node("attribute_missing", Code::kInvalidModel, {"n1", "'axis'"},
           [](pb::NodeProto& n) { n.set_op_type("Concat"); }),
      node("axis_out_of_range", Code::kInvalidModel, {"n1", "axis 5"},
           [](pb::NodeProto& n) {
             n.set_op_type("Concat");
             add_attribute(n, "axis", Attr::INT).set_i(5);
           }),
      node("input_missing", Code::kInvalidModel, {"n1", "Relu"},
           [](pb::NodeProto& n) { n.clear_input(); }),
      node("inputs_too_many", Code::kInvalidModel, {"n1", "2 inputs"},
           [](pb::NodeProto& n) { n.add_input("x"); }),
      node("outputs_too_many", Code::kInvalidModel, {"n1", "2 outputs"},
           [](pb::NodeProto& n) { n.add_output("z"); }),
      node("constant_without_value", Code::kInvalidModel, {"n1", "Constant"},
           [](pb::NodeProto& n) {
             n.set_op_type("Constant");
             n.clear_input();
           }),
      node("constant_of_unknown_form", Code::kInvalidModel, {"n1", "'value_bool'"},
           [](pb::NodeProto& n) {
             n.set_op_type("Constant");
             n.clear_input();
             add_attribute(n, "value_bool", Attr::INT).set_i(1);
           }),
      model(
          "old_cast_target", Code::kInvalidModel, {"n1", "FLOAT77"},
          [](pb::ModelProto& m) {
            auto& n = *m.mutable_graph()->mutable_node(0);
            n.set_op_type("Cast");
            add_attribute(n, "to", Attr::STRING).set_s("FLOAT77");
          },
          relu_model(5)),
  };
}

// Graphs within graphs, deeper than protobuf's limit.
Bad nested(const std::string& name, int depth, Code code, std::vector<std::string> says) {
  pb::GraphProto graph;
  for (int i = 0; i < depth; ++i) {
    pb::GraphProto outer;
    auto& n = add_node(outer, "If", {"x"}, {"y"});
    add_attribute(n, "then_branch", Attr::GRAPH).mutable_g()->Swap(&graph);
    outer.Swap(&graph);
  }
  pb::ModelProto m = relu_model();
  auto& n = add_node(*m.mutable_graph(), "If", {"x"}, {"deep"});
  add_attribute(n, "then_branch", Attr::GRAPH).mutable_g()->Swap(&graph);
  return bytes(name, code, std::move(says), m.SerializeAsString());
}

class BadFile : public testing::TestWithParam<Bad> {};

TEST_P(BadFile, IsRefused) {
  const Bad& bad = GetParam();
  const Folder folder;
  bad.write(folder);
  LoadOptions options;
  options.limits.max_nodes = 100'000;
  try {
    load(folder / "m.onnx", options);
    FAIL() << "was loaded";
  } catch (const Error& e) {
    const std::string text = e.what();
    EXPECT_EQ(code_name(e.code()), code_name(bad.code)) << text;
    EXPECT_NE(text.find("m.onnx"), std::string::npos) << text;
    EXPECT_EQ(text.find("m.onnx"), text.rfind("m.onnx")) << text;
    for (const std::string& part : bad.says) {
      EXPECT_NE(text.find(part), std::string::npos) << text;
    }
    EXPECT_LT(text.size(), 2000u) << text;
  }
  EXPECT_FALSE(check(folder / "m.onnx", options).empty());
}

std::string name_of(const testing::TestParamInfo<Bad>& info) { return info.param.name; }
INSTANTIATE_TEST_SUITE_P(Files, BadFile, testing::ValuesIn(files()), name_of);
INSTANTIATE_TEST_SUITE_P(Heads, BadFile, testing::ValuesIn(heads()), name_of);
INSTANTIATE_TEST_SUITE_P(Names, BadFile, testing::ValuesIn(names()), name_of);
INSTANTIATE_TEST_SUITE_P(Tensors, BadFile, testing::ValuesIn(bad_tensors()), name_of);
INSTANTIATE_TEST_SUITE_P(External, BadFile, testing::ValuesIn(bad_externals()), name_of);
INSTANTIATE_TEST_SUITE_P(Nodes, BadFile, testing::ValuesIn(nodes()), name_of);
INSTANTIATE_TEST_SUITE_P(Functions, BadFile, testing::ValuesIn(bad_functions()), name_of);
INSTANTIATE_TEST_SUITE_P(Depth, BadFile,
                         testing::Values(nested("beyond_protobuf", 200, Code::kLimit,
                                                {"deeper than 100"})),
                         name_of);

}  // namespace
}  // namespace treadle

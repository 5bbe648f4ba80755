// Files that must be refused: a broken file, its code, and what the message must say.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <functional>
#include <span>

#include "importer/importer.h"
#include "tests/importer/models.h"

namespace treadle {
namespace {

using namespace test;
namespace fs = std::filesystem;
using Proto = pb::TensorProto;
using Attr = pb::AttributeProto;

struct Bad {
  std::string name;
  Code code;
  std::vector<std::string> says;
  std::function<void(const Folder&)> write;  // makes m.onnx
};
void PrintTo(const Bad& bad, std::ostream* out) { *out << bad.name; }

Bad bytes(const std::string& name, Code code, std::vector<std::string> says,
          const std::string& content) {
  return {name, code, std::move(says),
          [content](const Folder& f) { write_file(f / "m.onnx", content); }};
}

Bad model(const std::string& name, Code code, std::vector<std::string> says,
          const std::function<void(pb::ModelProto&)>& spoil,
          const pb::ModelProto& from = relu_model()) {
  pb::ModelProto m = from;
  spoil(m);
  return bytes(name, code, std::move(says), m.SerializeAsString());
}

// The initializer of x + w -> y: float, of no dimension, without data.
Bad weight(const std::string& name, Code code, std::vector<std::string> says,
           const std::function<void(Proto&)>& spoil) {
  auto add = [&](pb::ModelProto& m) { spoil(add_initializer(m, "w", Proto::FLOAT, {})); };
  return model(name, code, std::move(says), add, add_model());
}

Bad node(const std::string& name, Code code, std::vector<std::string> says,
         const std::function<void(pb::NodeProto&)>& spoil) {
  return model(name, code, std::move(says),
               [&](pb::ModelProto& m) { spoil(*m.mutable_graph()->mutable_node(0)); });
}

// w is external data; the file w.data has its 24 bytes.
Bad external(const std::string& name, Code code, std::vector<std::string> says,
             const std::function<void(Proto&, const Folder&)>& spoil) {
  return {name, code, std::move(says), [spoil](const Folder& f) {
            pb::ModelProto m = add_model();
            auto& w = add_initializer(m, "w", Proto::FLOAT, {2, 3});
            write_file(f / "w.data", std::string(24, '\0'));
            spoil(w, f);
            write_file(f / "m.onnx", m.SerializeAsString());
          }};
}
// The same by entries of external_data alone.
Bad entries(const std::string& name, Code code, std::vector<std::string> says,
            std::vector<std::pair<std::string, std::string>> list) {
  return external(name, code, std::move(says), [list](Proto& t, const Folder&) {
    for (const auto& [key, value] : list) add_external(t, key, value);
  });
}

void set_dims(Proto& t, std::initializer_list<int64_t> list) {
  t.clear_dims();
  for (int64_t d : list) t.add_dims(d);
}
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
      model("output_twice", Code::kInvalidModel, {"'y'"},
            [](pb::ModelProto& m) { add_value(*m.mutable_graph()->add_output(), "y"); }),
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

std::vector<Bad> tensors() {
  constexpr int64_t kHuge = int64_t{1} << 62;
  auto sparse = [](pb::ModelProto& m, int64_t size, int64_t index) {
    auto& s = *m.mutable_graph()->add_sparse_initializer();
    s.add_dims(size);
    set_tensor(*s.mutable_values(), "w", Proto::FLOAT, {1}).add_float_data(1);
    set_tensor(*s.mutable_indices(), "", Proto::INT64, {1}).add_int64_data(index);
  };
  return {
      weight("element_type", Code::kInvalidModel, {"'w'", "99"},
             [](Proto& t) { t.set_data_type(99); }),
      weight("element_type_missing", Code::kInvalidModel, {"'w'", "element type 0"},
             [](Proto& t) { t.clear_data_type(); }),
      weight("element_type_float6", Code::kUnsupported, {"'w'", "FLOAT6"},
             [](Proto& t) { t.set_data_type(Proto::FLOAT6E2M3); }),
      weight("negative_dimension", Code::kInvalidModel, {"'w'", "[2, -3]"},
             [](Proto& t) {
               set_dims(t, {2, -3});
             }),
      weight("dimensions_overflow", Code::kLimit, {"'w'", "overflow"},
             [](Proto& t) {
               set_dims(t, {kHuge, 8});
             }),
      weight("dimensions_wrap_to_zero", Code::kLimit, {"'w'", "overflow"},
             [](Proto& t) {
               set_dims(t, {kHuge, 4, kHuge, 4});
             }),
      weight("bytes_overflow", Code::kLimit, {"'w'", "overflow"},
             [](Proto& t) { set_dims(t, {kHuge}); }),
      weight("too_large", Code::kLimit, {"'w'", "max_bytes"},
             [](Proto& t) { set_dims(t, {int64_t{1} << 50}); }),
      weight("rank", Code::kLimit, {"'w'", "rank 40"},
             [](Proto& t) {
               for (int i = 0; i < 40; ++i) t.add_dims(1);
             }),
      weight("no_data", Code::kInvalidModel, {"'w'", "[2, 3]"},
             [](Proto& t) {
               set_dims(t, {2, 3});
             }),
      weight("raw_too_short", Code::kInvalidModel, {"'w'", "20 bytes", "expected 24"},
             [](Proto& t) {
               set_dims(t, {2, 3}), t.set_raw_data(std::string(20, 'x'));
             }),
      weight("raw_too_long", Code::kInvalidModel, {"'w'", "28 bytes", "expected 24"},
             [](Proto& t) {
               set_dims(t, {2, 3}), t.set_raw_data(std::string(28, 'x'));
             }),
      weight("large_raw_too_short", Code::kInvalidModel, {"'w'", "8000 bytes", "expected 40000"},
             [](Proto& t) { set_dims(t, {10000}), t.set_raw_data(std::string(8000, 'x')); }),
      weight("typed_too_short", Code::kInvalidModel, {"'w'", "[2, 3]"},
             [](Proto& t) {
               set_dims(t, {2, 3}), t.add_float_data(1);
             }),
      weight("typed_too_long", Code::kInvalidModel, {"'w'", "2 entries"},
             [](Proto& t) { t.add_float_data(1), t.add_float_data(1); }),
      weight("typed_of_wrong_kind", Code::kInvalidModel, {"'w'"},
             [](Proto& t) { set_dims(t, {1}), t.add_int64_data(1); }),
      weight("two_storages", Code::kInvalidModel, {"'w'", "both"},
             [](Proto& t) { t.add_float_data(1), t.set_raw_data("abcd"); }),
      weight("raw_strings", Code::kInvalidModel, {"'w'", "strings"},
             [](Proto& t) { t.set_data_type(Proto::STRING), t.set_raw_data("abcd"); }),
      weight("segments", Code::kUnsupported, {"'w'", "segments"},
             [](Proto& t) { t.mutable_segment()->set_begin(0), t.add_float_data(1); }),
      model(
          "sparse_index", Code::kInvalidModel, {"'w'", "index 9"},
          [&](pb::ModelProto& m) { sparse(m, 3, 9); }, add_model()),
      model(
          "sparse_too_large", Code::kLimit, {"'w'", "dense"},
          [&](pb::ModelProto& m) { sparse(m, int64_t{1} << 34, 9); }, add_model()),
  };
}

std::vector<Bad> externals() {
  return {
      entries("missing", Code::kIo, {"'w'", "gone.data"}, {{"location", "gone.data"}}),
      entries("no_location", Code::kInvalidModel, {"'w'", "location"}, {{"offset", "0"}}),
      entries("too_short", Code::kInvalidModel, {"'w'", "too short", "24 bytes at offset 8"},
              {{"location", "w.data"}, {"offset", "8"}}),
      entries("offset_behind_end", Code::kInvalidModel, {"'w'", "too short"},
              {{"location", "w.data"}, {"offset", "9223372036854775807"}}),
      entries("offset_no_number", Code::kInvalidModel, {"'w'", "offset '-4'"},
              {{"location", "w.data"}, {"offset", "-4"}}),
      entries("wrong_length", Code::kInvalidModel, {"'w'", "length 12", "expected 24"},
              {{"location", "w.data"}, {"length", "12"}}),
      entries("unknown_key", Code::kInvalidModel, {"'w'", "'url'"},
              {{"url", "http://example.org/w"}}),
      entries("absolute", Code::kInvalidModel, {"'w'", "outside"}, {{"location", "/etc/passwd"}}),
      entries("parent", Code::kInvalidModel, {"'w'", "outside"}, {{"location", "../w.data"}}),
      external("parent_inside_path", Code::kInvalidModel, {"'w'", "outside"},
               [](Proto& t, const Folder& f) {
                 fs::create_directory(f / "sub");
                 add_external(t, "location", "sub/../../etc/passwd");
               }),
      external("link_outside", Code::kInvalidModel, {"'w'", "outside"},
               [](Proto& t, const Folder& f) {
                 fs::create_symlink("/etc/passwd", f / "link.data");
                 add_external(t, "location", "link.data");
               }),
      external("folder_link_outside", Code::kInvalidModel, {"'w'", "outside"},
               [](Proto& t, const Folder& f) {
                 fs::create_directory_symlink("/etc", f / "etc");
                 add_external(t, "location", "etc/passwd");
               }),
      external("fifo", Code::kIo, {"'w'", "regular file"},
               [](Proto& t, const Folder& f) {
                 mkfifo((f / "pipe").c_str(), 0600);
                 add_external(t, "location", "pipe");
               }),
      external("with_data_of_its_own", Code::kInvalidModel, {"'w'", "data of its own"},
               [](Proto& t, const Folder&) {
                 add_external(t, "location", "w.data");
                 t.set_raw_data(std::string(24, '\0'));
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

// A function of domain f with one node, which calls another (or is a Relu).
pb::FunctionProto& add_function(pb::ModelProto& m, const std::string& name,
                                const std::string& calls) {
  auto& f = *m.add_functions();
  f.set_name(name);
  f.set_domain("f");
  f.add_input("a");
  f.add_output("b");
  f.add_opset_import()->set_version(21);
  auto& n = *f.add_node();
  n.set_name("in_" + name);
  n.set_op_type(calls);
  n.set_domain(calls == "Relu" ? "" : "f");
  n.add_input("a");
  n.add_output("b");
  return f;
}

Bad calling(const std::string& name, Code code, std::vector<std::string> says,
            const std::function<void(pb::ModelProto&)>& spoil) {
  pb::ModelProto m = relu_model();
  auto& import = *m.add_opset_import();
  import.set_domain("f");
  import.set_version(1);
  m.mutable_graph()->mutable_node(0)->set_op_type("F0");
  m.mutable_graph()->mutable_node(0)->set_domain("f");
  return model(name, code, std::move(says), spoil, m);
}

void add_chain(pb::ModelProto& m, int length, bool doubled) {
  for (int i = 0; i < length; ++i) {
    auto& f = add_function(m, "F" + std::to_string(i), "F" + std::to_string(i + 1));
    if (!doubled) continue;
    f.mutable_node(0)->set_output(0, "c");
    pb::NodeProto second = f.node(0);
    second.set_input(0, "c");
    second.set_output(0, "b");
    *f.add_node() = second;
  }
  add_function(m, "F" + std::to_string(length), "Relu");
}

std::vector<Bad> functions() {
  return {
      calling("recursion", Code::kInvalidModel, {"n1", "calls itself"},
              [](pb::ModelProto& m) { add_function(m, "F0", "F0"); }),
      calling("mutual_recursion", Code::kInvalidModel, {"calls itself"},
              [](pb::ModelProto& m) { add_function(m, "F0", "G"), add_function(m, "G", "F0"); }),
      calling("chain", Code::kLimit, {"max_depth"},
              [](pb::ModelProto& m) { add_chain(m, 40, false); }),
      calling("explosion", Code::kLimit, {"max_nodes"},
              [](pb::ModelProto& m) { add_chain(m, 30, true); }),
      calling(
          "twice", Code::kInvalidModel, {"'F0'", "twice"},
          [](pb::ModelProto& m) { add_function(m, "F0", "Relu"), add_function(m, "F0", "Relu"); }),
      calling("no_output", Code::kInvalidModel, {"'F0'", "'b'"},
              [](pb::ModelProto& m) {
                add_function(m, "F0", "Relu").mutable_node(0)->set_output(0, "c");
              }),
      calling("too_many_inputs", Code::kInvalidModel, {"n1", "'F0'", "2 inputs"},
              [](pb::ModelProto& m) {
                add_function(m, "F0", "Relu");
                m.mutable_graph()->mutable_node(0)->add_input("x");
              }),
      calling("sees_no_outer_names", Code::kInvalidModel, {"'x'"},
              [](pb::ModelProto& m) {
                add_function(m, "F0", "Relu").mutable_node(0)->set_input(0, "x");
              }),
      calling("unknown_inside", Code::kUnsupported, {"Frob"},
              [](pb::ModelProto& m) { add_function(m, "F0", "Frob"); }),
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
INSTANTIATE_TEST_SUITE_P(Tensors, BadFile, testing::ValuesIn(tensors()), name_of);
INSTANTIATE_TEST_SUITE_P(External, BadFile, testing::ValuesIn(externals()), name_of);
INSTANTIATE_TEST_SUITE_P(Nodes, BadFile, testing::ValuesIn(nodes()), name_of);
INSTANTIATE_TEST_SUITE_P(Functions, BadFile, testing::ValuesIn(functions()), name_of);
INSTANTIATE_TEST_SUITE_P(Depth, BadFile,
                         testing::Values(nested("beyond_protobuf", 200, Code::kLimit,
                                                {"deeper than 100"})),
                         name_of);

TEST(Check, FindsEverything) {
  pb::ModelProto m = add_model();
  add_initializer(m, "w", Proto::FLOAT, {2, 3}).set_raw_data("short");
  add_node(*m.mutable_graph(), "Frob", {"x"}, {"f"});
  add_node(*m.mutable_graph(), "Relu", {"gone"}, {"g"});
  add_value(*m.mutable_graph()->add_output(), "z");
  const Folder folder;
  write_file(folder / "m.onnx", m.SerializeAsString());
  std::string all;
  for (const Error& e : check(folder / "m.onnx")) all += std::string(e.what()) + "\n";
  for (const char* part : {"'w'", "Frob", "'gone'", "'z'"}) {
    EXPECT_NE(all.find(part), std::string::npos) << all;
  }
  write_file(folder / "good.onnx", relu_model().SerializeAsString());
  EXPECT_TRUE(check(folder / "good.onnx").empty());
}

std::string model_with_weights() {
  pb::ModelProto m = add_model();
  add_initializer(m, "w", Proto::FLOAT, {2, 3}).set_raw_data(std::string(24, '\1'));
  return m.SerializeAsString();
}

TEST(Damage, EveryTruncationIsRefused) {
  const std::string whole = model_with_weights();
  for (size_t n = 0; n < whole.size(); ++n) {
    try {
      load_bytes(std::as_bytes(std::span(whole)).first(n));
    } catch (const Error&) {
      continue;
    }
    // Cut between two fields: what is left is a model of its own.
    pb::ModelProto rest;
    EXPECT_TRUE(rest.ParseFromArray(whole.data(), static_cast<int>(n))) << n;
  }
}

TEST(Damage, EveryFlippedBitIsSurvived) {
  const std::string whole = model_with_weights();
  for (size_t bit = 0; bit < whole.size() * 8; ++bit) {
    std::string damaged = whole;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
    try {
      load_bytes(std::as_bytes(std::span(damaged)));
    } catch (const Error& e) {
      EXPECT_NE(e.code(), Code::kInternal) << e.what();
    }
  }
}

}  // namespace
}  // namespace treadle

// Functions that must be refused.
#include "tests/importer/bad.h"

namespace treadle::test {
namespace {

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

}  // namespace

std::vector<Bad> bad_functions() {
  return {
      calling("recursion", Code::kInvalidModel, {"'F0'", "calls itself"},
              [](pb::ModelProto& m) { add_function(m, "F0", "F0"); }),
      calling("mutual_recursion", Code::kInvalidModel, {"'F0'", "calls itself through 'G'"},
              [](pb::ModelProto& m) { add_function(m, "F0", "G"), add_function(m, "G", "F0"); }),
      calling("chain", Code::kLimit, {"'F", "max_depth"},
              [](pb::ModelProto& m) { add_chain(m, 40, false); }),
      calling("explosion", Code::kLimit, {"function 'F", "max_nodes", "inlined"},
              [](pb::ModelProto& m) { add_chain(m, 30, true); }),
      calling("explosion_of_bytes", Code::kLimit, {"function 'F", "bytes of nodes"},
              [](pb::ModelProto& m) {
                add_chain(m, 12, true);
                auto& n = *m.mutable_functions(12)->mutable_node(0);
                auto& a = add_attribute(n, "list", Attr::INTS);
                for (int i = 0; i < 200'000; ++i) a.add_ints(i);
              }),
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

}  // namespace treadle::test

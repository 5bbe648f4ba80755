// Bodies: outer names become captures, outer constants are shared, and both survive being saved.
#include <gtest/gtest.h>

#include <span>

#include "graph/builder.h"
#include "importer/importer.h"
#include "tests/importer/models.h"

namespace treadle {
namespace {

using namespace test;
using Proto = pb::TensorProto;
using Attr = pb::AttributeProto;

// y = c ? x + w : if c then x else -h, where h = x + w lies outside.
pb::ModelProto nested_model() {
  pb::ModelProto m = empty_model();
  add_value(*m.mutable_graph()->add_input(), "c", Proto::BOOL, {});
  auto& w = add_initializer(m, "w", Proto::FLOAT, {3});
  for (float v : {10.f, 20.f, 30.f}) w.add_float_data(v);
  add_node(*m.mutable_graph(), "Add", {"x", "w"}, {"h"});
  auto& outer = add_node(*m.mutable_graph(), "If", {"c"}, {"y"});
  auto& yes = *add_attribute(outer, "then_branch", Attr::GRAPH).mutable_g();
  add_node(yes, "Add", {"x", "w"}, {"sum"});
  yes.add_output()->set_name("sum");
  auto& no = *add_attribute(outer, "else_branch", Attr::GRAPH).mutable_g();
  auto& inner = add_node(no, "If", {"c"}, {"z"});
  no.add_output()->set_name("z");
  auto& inner_yes = *add_attribute(inner, "then_branch", Attr::GRAPH).mutable_g();
  add_node(inner_yes, "Identity", {"x"}, {"i"});
  inner_yes.add_output()->set_name("i");
  auto& inner_no = *add_attribute(inner, "else_branch", Attr::GRAPH).mutable_g();
  add_node(inner_no, "Neg", {"h"}, {"n"});
  inner_no.add_output()->set_name("n");
  add_value(*m.mutable_graph()->add_output(), "y");
  return m;
}

Graph load_text(const std::string& bytes) { return load_bytes(std::as_bytes(std::span(bytes))); }

std::vector<double> run(const Graph& graph, bool c) {
  const Tensor x = Tensor::of<float>({2, 3}, {0, 1, 2, 3, 4, 5});
  Tensor condition(DType::kBool, {});
  condition.data<bool>()[0] = c;
  return evaluate(graph, {x, condition})[0].tensor().to_doubles();
}

const Node& the_if(const Graph& graph) {
  for (NodeId id : graph.topological_order()) {
    if (graph.node(id).is("If")) return graph.node(id);
  }
  fail(Code::kInternal, "no If");
}

// Loops (whose carried shape grows) within each other, around branches (which fit no matrix) within
// each other: inference that does a thing twice at every level would not end.
pb::GraphProto deep_body(int level, int loops) {
  const std::string at = std::to_string(level);
  pb::GraphProto body;
  body.set_name("b" + at);
  if (level < loops) {
    add_value(*body.add_input(), "i" + at, Proto::INT64, {});
    add_value(*body.add_input(), "c" + at, Proto::BOOL, {});
    add_value(*body.add_input(), "s" + at, Proto::FLOAT, {-1, -1});
    add_node(body, "Identity", {"c" + at}, {"k" + at});
    body.add_output()->set_name("k" + at);
    auto& concat = add_node(body, "Concat", {"s" + at, "s" + at}, {"t" + at});
    add_attribute(concat, "axis", Attr::INT).set_i(0);
  } else {
    const std::string s = "s" + std::to_string(loops - 1);
    add_node(body, "MatMul", {s, "square"}, {"t" + at});
  }
  body.add_output()->set_name("t" + at);
  return body;
}

pb::GraphProto deep_graph(int level, int loops, int depth) {
  pb::GraphProto body = deep_body(level, loops);
  if (level + 1 == depth) return body;
  const pb::GraphProto inner = deep_graph(level + 1, loops, depth);
  const std::string out = "u" + std::to_string(level);
  if (level + 1 < loops) {
    auto& node = add_node(body, "Loop", {"n", "c", "x"}, {out});
    *add_attribute(node, "body", Attr::GRAPH).mutable_g() = inner;
  } else {
    auto& node = add_node(body, "If", {"c"}, {out});
    *add_attribute(node, "then_branch", Attr::GRAPH).mutable_g() = inner;
    *add_attribute(node, "else_branch", Attr::GRAPH).mutable_g() = deep_body(99, loops);
  }
  return body;
}

TEST(Body, NestingCostsNoMoreThanItsSize) {
  for (const int loops : {1, 29}) {
    pb::ModelProto m = empty_model();
    pb::GraphProto& graph = *m.mutable_graph();
    add_value(*graph.add_input(), "n", Proto::INT64, {});
    add_value(*graph.add_input(), "c", Proto::BOOL, {});
    add_value(*graph.add_input(), "square", Proto::FLOAT, {5, 5});
    auto& node = add_node(graph, "Loop", {"n", "c", "x"}, {"y"});
    *add_attribute(node, "body", Attr::GRAPH).mutable_g() = deep_graph(0, loops, 29);
    graph.add_output()->set_name("y");
    try {
      load_text(m.SerializeAsString());
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), Code::kInvalidModel) << e.what();
    }
  }
}

TEST(Body, OuterNamesAreCaptured) {
  const Graph graph = load_text(nested_model().SerializeAsString());
  const Node& node = the_if(graph);
  ASSERT_EQ(node.subgraphs.size(), 2u);
  EXPECT_EQ(node.subgraphs[0].captures.size(), 1u);  // x; w is a constant of the body
  EXPECT_EQ(node.subgraphs[1].captures.size(), 3u);  // c, x, h for the body inside
  const ValueId w = graph.find_value("w");
  const Graph& body = *node.subgraphs[0].graph;
  EXPECT_EQ(body.value(body.find_value("w")).constant.raw(), graph.value(w).constant.raw());
  EXPECT_EQ(run(graph, true), (std::vector<double>{10, 21, 32, 13, 24, 35}));
  EXPECT_EQ(run(graph, false), (std::vector<double>{-10, -21, -32, -13, -24, -35}));
}

TEST(Body, SurvivesBeingSaved) {
  const Graph graph = load_text(nested_model().SerializeAsString());
  const std::string bytes = save_bytes(graph);
  pb::ModelProto m;
  ASSERT_TRUE(m.ParseFromString(bytes));
  EXPECT_EQ(m.graph().initializer_size(), 1);
  for (const auto& a : m.graph().node(1).attribute()) EXPECT_EQ(a.g().initializer_size(), 0);
  const Graph again = load_text(bytes);
  for (bool c : {true, false}) EXPECT_EQ(run(again, c), run(graph, c));
}

TEST(Body, OfUnknownName) {
  pb::ModelProto m = nested_model();
  auto& branch = *m.mutable_graph()->mutable_node(1)->mutable_attribute(0)->mutable_g();
  branch.mutable_node(0)->set_input(0, "gone");
  try {
    load_text(m.SerializeAsString());
    FAIL();
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("'gone'"), std::string::npos) << e.what();
    EXPECT_NE(std::string(e.what()).find("n2"), std::string::npos) << e.what();
  }
}

TEST(Body, TooDeep) {
  pb::GraphProto graph;
  add_node(graph, "Identity", {"x"}, {"y"});
  graph.add_output()->set_name("y");
  for (int i = 0; i < 20; ++i) {
    pb::GraphProto outer;
    auto& n = add_node(outer, "If", {"c"}, {"y"});
    *add_attribute(n, "then_branch", Attr::GRAPH).mutable_g() = graph;
    add_attribute(n, "else_branch", Attr::GRAPH).mutable_g()->Swap(&graph);
    if (i >= 6) n.mutable_attribute(1)->mutable_g()->CopyFrom(pb::GraphProto());
    outer.add_output()->set_name("y");
    outer.Swap(&graph);
  }
  pb::ModelProto m = empty_model();
  add_value(*m.mutable_graph()->add_input(), "c", Proto::BOOL, {});
  *m.mutable_graph()->mutable_node() = graph.node();
  add_value(*m.mutable_graph()->add_output(), "y");
  LoadOptions options;
  options.limits.max_depth = 10;
  const std::string bytes = m.SerializeAsString();
  try {
    load_bytes(std::as_bytes(std::span(bytes)), {}, options);
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), Code::kLimit) << e.what();
  }
}

}  // namespace
}  // namespace treadle

// Graphs survive being saved and loaded; what is written is as old as it can be.
#include <gtest/gtest.h>

#include <fstream>
#include <limits>
#include <span>

#include "graph/builder.h"
#include "importer/importer.h"
#include "tests/importer/models.h"

namespace treadle {
namespace {

using namespace test;
namespace fs = std::filesystem;

Type matrix() { return Type::tensor(DType::kFloat, Shape{Dim::symbol("N"), 3}); }
const Tensor kX = Tensor::of<float>({2, 3}, {0, 1, 2, 3, 4, 5});

pb::ModelProto written(const Graph& graph, const SaveOptions& options = {}) {
  pb::ModelProto m;
  EXPECT_TRUE(m.ParseFromString(save_bytes(graph, options)));
  return m;
}
int64_t opset_of(const Graph& graph, int64_t wanted = 0) {
  SaveOptions options;
  options.opset = wanted;
  return written(graph, options).opset_import(0).version();
}
Graph loaded(const pb::ModelProto& m) {
  const std::string bytes = m.SerializeAsString();
  return load_bytes(std::as_bytes(std::span(bytes)));
}

// Saved and loaded, the graph gives the same outputs, under the same names.
void expect_round_trip(const Graph& graph, const SaveOptions& options = {}) {
  const Graph again = loaded(written(graph, options));
  ASSERT_EQ(graph.inputs().size(), again.inputs().size());
  ASSERT_EQ(graph.outputs().size(), again.outputs().size());
  std::vector<Value> inputs;
  for (size_t i = 0; i < graph.inputs().size(); ++i) {
    EXPECT_EQ(graph.value(graph.inputs()[i]).name, again.value(again.inputs()[i]).name);
    EXPECT_EQ(graph.value(graph.inputs()[i]).type.text(),
              again.value(again.inputs()[i]).type.text());
    inputs.emplace_back(kX);
  }
  const auto want = evaluate(graph, inputs);
  const auto got = evaluate(again, inputs);
  for (size_t i = 0; i < want.size(); ++i) {
    EXPECT_EQ(graph.outputs()[i].name, again.outputs()[i].name);
    EXPECT_TRUE(want[i].tensor() == got[i].tensor()) << graph.outputs()[i].name;
  }
}

Graph sum_of_row() {
  Graph graph;
  Builder b(graph);
  const ValueId x = graph.add_input("x", matrix());
  graph.add_output("y", b.op("ReduceMean", {x, b.ints({-1})}, {{"keepdims", int64_t{0}}}));
  return graph;
}

TEST(Save, RoundTrip) {
  Graph graph;
  Builder b(graph);
  const ValueId x = graph.add_input("x", matrix());
  const ValueId w = b.constant(Tensor::of<float>({3}, {1, 2, 3}));
  graph.metadata["classes"] = "a b";
  graph.metadata["producer_name"] = "maker";
  graph.add_output("y", b.op("Relu", {b.op("Sub", {x, w})}));
  expect_round_trip(graph);
  const Graph again = loaded(written(graph));
  EXPECT_EQ(again.metadata, graph.metadata);
}

TEST(Save, FusedRegionsAreExpandedWithTheirBodies) {
  Graph body;
  Builder inner(body);
  const ValueId in = body.add_input("in", matrix());
  body.add_output("out", inner.op("Sigmoid", {inner.op("Neg", {inner.op("Neg", {in})})}));
  Graph g;
  Node node;
  node.op = find_op("FusedElementwise", "treadle");
  node.name = "region";
  node.inputs = {g.add_input("x", matrix())};
  node.outputs = {g.add_value("y", matrix())};
  node.subgraphs = {{"body", std::make_shared<Graph>(std::move(body)), {}}};
  const ValueId y = node.outputs[0];
  g.add_node(std::move(node));
  g.add_output("y", y);
  const Graph back = loaded(written(g));
  EXPECT_EQ(back.node_count(), 3u);
  EXPECT_EQ(evaluate(back, {kX})[0].tensor(), evaluate(g, {kX})[0].tensor());
}

TEST(Save, OutputsThatNoNodeMakes) {
  Graph graph;
  Builder b(graph);
  const ValueId x = graph.add_input("x", matrix());
  const ValueId y = b.op("Neg", {x});
  graph.add_output("y", y);
  graph.add_output("same", y);
  graph.add_output("input", x);
  graph.add_output("constant", b.constant(Tensor::of<float>({1}, {7})));
  expect_round_trip(graph);
}

TEST(Save, NamesThatClash) {
  Graph graph;
  Builder b(graph);
  const ValueId x = graph.add_input("x", matrix());
  const ValueId inner = b.op("Neg", {x});
  const std::string taken = graph.value(inner).name;  // an output takes the name of another value
  graph.add_output(taken, b.op("Abs", {inner}));
  expect_round_trip(graph);
}

TEST(Save, LowestOpset) {
  Graph graph;
  Builder b(graph);
  const ValueId x = graph.add_input("x", matrix());
  graph.add_output("y", b.op("Relu", {x}));
  EXPECT_EQ(opset_of(graph), 7);
  EXPECT_EQ(opset_of(sum_of_row()), 18);  // axes as an input
  EXPECT_EQ(written(sum_of_row()).ir_version(), 8);
}

TEST(Save, LowerOpset) {
  const Graph graph = sum_of_row();
  EXPECT_EQ(opset_of(graph, 21), 18);
  for (int64_t opset : {17, 13, 11, 7}) {
    SaveOptions options;
    options.opset = opset;
    EXPECT_LE(opset_of(graph, opset), opset);
    expect_round_trip(graph, options);
  }
}

TEST(Save, LowerOpsetOfMany) {
  Graph graph;
  Builder b(graph);
  const ValueId x = graph.add_input("x", Type::tensor(DType::kFloat, Shape{2, 3}));
  const ValueId u = b.op("Unsqueeze", {x, b.ints({-1})});
  const ValueId s = b.op("Squeeze", {u, b.ints({2})});
  const ValueId c = b.op("Clip", {s, b.scalar(DType::kFloat, 1), b.scalar(DType::kFloat, 4)});
  const ValueId p = b.op("Pad", {c, b.ints({0, 1, 0, 1}), b.scalar(DType::kFloat, 5)});
  const ValueId l = b.op("Slice", {p, b.ints({0}), b.ints({4}), b.ints({1})});
  const auto parts = b.add("Split", {l, b.ints({1, 3})}, {{"axis", int64_t{1}}}, 2);
  graph.add_output("y", b.op("Softmax", {parts[1]}, {{"axis", int64_t{-1}}}));
  for (int64_t opset : {0, 13, 12, 11, 10, 9, 7}) {
    SaveOptions options;
    options.opset = opset;
    expect_round_trip(graph, options);
    EXPECT_LE(opset_of(graph, opset), opset == 0 ? 18 : opset);
  }
}

// Operators that are younger than the opset wanted are written as what they equal.
void expect_lowered(const Graph& graph, const std::vector<Value>& inputs, int64_t opset) {
  SaveOptions options;
  options.opset = opset;
  const pb::ModelProto m = written(graph, options);
  EXPECT_LE(m.opset_import(0).version(), opset);
  const Tensor want = evaluate(graph, inputs)[0].tensor();
  const Tensor got = evaluate(loaded(m), inputs)[0].tensor();
  ASSERT_EQ(got.dims(), want.dims());
  for (size_t i = 0; i < want.data<float>().size(); ++i)
    EXPECT_NEAR(got.data<float>()[i], want.data<float>()[i], 1e-5) << "opset " << opset;
}

TEST(Save, LowerOpsetOfActivationsAndNormalization) {
  Graph graph;
  Builder b(graph);
  ValueId x = graph.add_input("x", matrix());
  for (const char* kind : {"Gelu", "Swish", "HardSwish", "Mish"}) x = b.op(kind, {x});
  x = b.op("Gelu", {b.op("Swish", {x}, {{"alpha", 1.5f}})}, {{"approximate", "tanh"}});
  const ValueId scale = b.constant(Tensor::of<float>({3}, {1, 2, 3}));
  graph.add_output("y", b.op("LayerNormalization", {x, scale, scale}));
  EXPECT_EQ(opset_of(graph), 24);
  for (const int64_t opset : {23, 17, 16, 13, 11, 9}) expect_lowered(graph, {kX}, opset);
}

TEST(Save, LowerOpsetOfAttention) {
  const float inf = std::numeric_limits<float>::infinity();
  const Tensor q = Tensor::of<float>({1, 1, 2, 3}, {0, 1, 2, 3, 4, 5});
  for (const Tensor& mask : {Tensor(), Tensor::of<float>({2, 2}, {0, 1, -inf, -inf}),
                             Tensor::of<bool>({2, 2}, {true, false, false, false})}) {
    Graph graph;
    Builder b(graph);
    const ValueId x = graph.add_input("x", Type::tensor(DType::kFloat, Shape{1, 1, 2, 3}));
    std::vector<ValueId> inputs = {x, b.op("Neg", {x}), x};
    if (mask.defined()) inputs.push_back(b.constant(mask));
    graph.add_output("y", b.op("Attention", inputs));
    for (const int64_t opset : {22, 13, 11, 9}) expect_lowered(graph, {q}, opset);
  }
}

TEST(Save, AttentionOfManyPartsIsNotLowered) {
  for (const Attributes& a :
       {Attributes{{"is_causal", int64_t{1}}}, Attributes{{"softcap", 2.0f}}}) {
    Graph graph;
    Builder b(graph);
    const ValueId x = graph.add_input("x", Type::tensor(DType::kFloat, Shape{1, 1, 2, 3}));
    graph.add_output("y", b.op("Attention", {x, x, x}, a));
    SaveOptions options;
    options.opset = 17;
    EXPECT_THROW(save_bytes(graph, options), Error);
  }
}

TEST(Save, WhatCannotBeLoweredIsNamed) {
  Graph graph;
  Builder b(graph);
  const ValueId x = graph.add_input("x", matrix());
  graph.add_output("y", b.op("Trilu", {x}));
  SaveOptions options;
  options.opset = 7;
  try {
    save_bytes(graph, options);
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), Code::kUnsupported);
    EXPECT_NE(std::string(e.what()).find("Trilu"), std::string::npos) << e.what();
    EXPECT_NE(std::string(e.what()).find("14"), std::string::npos) << e.what();
  }
  options.opset = 99;
  EXPECT_THROW(save_bytes(graph, options), Error);
}

TEST(Save, TypesRaiseTheOpset) {
  Graph graph;
  Builder b(graph);
  const ValueId x = graph.add_input("x", Type::tensor(DType::kInt8, Shape{2, 3}));
  graph.add_output("y", b.op("Relu", {x}));
  EXPECT_EQ(opset_of(graph), 14);
}

TEST(Save, ExternalData) {
  const Folder folder;
  Graph graph;
  Builder b(graph);
  const ValueId x = graph.add_input("x", matrix());
  std::vector<float> data(3000);
  for (size_t i = 0; i < data.size(); ++i) data[i] = static_cast<float>(i);
  const ValueId w = b.constant(Tensor::of<float>({3, 1000}, data));
  const ValueId v = b.constant(Tensor::of<float>({1}, {1}));
  graph.add_output("y", b.op("Add", {b.op("MatMul", {x, w}), v}));
  SaveOptions options;
  options.external_data = true;
  save(graph, folder / "m.onnx", options);
  EXPECT_LT(fs::file_size(folder / "m.onnx"), 2000u);
  EXPECT_EQ(fs::file_size(folder / "m.onnx.data"), 12000u);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder.path()), {}),
            2);  // no temporary file is left
  LoadOptions mapped;
  mapped.mmap = true;
  for (const LoadOptions& how : {LoadOptions{}, mapped}) {
    EXPECT_TRUE(evaluate(load(folder / "m.onnx", how), {kX})[0].tensor() ==
                evaluate(graph, {kX})[0].tensor());
  }
  EXPECT_THROW(save_bytes(graph, options), Error);
}

TEST(Save, FailureKeepsTheOldFile) {
  const Folder folder;
  write_file(folder / "m.onnx", "old");
  Graph graph;
  Builder b(graph);
  const ValueId x = graph.add_input("x", matrix());
  graph.add_output("y", b.op("Trilu", {x}));
  SaveOptions options;
  options.opset = 7;
  EXPECT_THROW(save(graph, folder / "m.onnx", options), Error);
  EXPECT_EQ(fs::file_size(folder / "m.onnx"), 3u);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder.path()), {}), 1);
  EXPECT_THROW(save(graph, folder / "no/such/folder.onnx"), Error);
}

}  // namespace
}  // namespace treadle

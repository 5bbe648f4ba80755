// New heads, frozen layers and LoRA on models made here.
#include "training/fine_tuning.h"

#include <gtest/gtest.h>

#include "graph/builder.h"
#include "graph/ops/op.h"
#include "tests/support/tensors.h"
#include "tests/training/data_files.h"
#include "training/new_models.h"

namespace treadle::test {
namespace {

Graph mlp() {
  NewModelOptions o;
  o.kind = "mlp";
  o.classes = 3;
  o.input_shape = {4};
  o.hidden = {6};
  return new_model(o);
}

Tensor run(const Graph& g) {
  return evaluate(g, std::vector<Value>{random_tensor(DType::kFloat, {2, 4}, 1)})[0].tensor();
}

TEST(FineTuning, ReplacesTheHead) {
  Graph g = mlp();
  EXPECT_EQ(replace_head(g, 5, 1), (std::vector<std::string>{"head.weight", "head.bias"}));
  verify(g);
  EXPECT_EQ(output_classes(g), 5);
  EXPECT_EQ(run(g).dims(), (Dims{2, 5}));
}

TEST(FineTuning, LeavesASoftmaxAndAdaptsAReshape) {
  Graph g = mlp();
  Builder b(g);
  const ValueId scores = g.outputs()[0].value;
  const ValueId shaped = b.op("Reshape", {scores, b.ints({-1, 3})});
  g.set_output(0, b.op("Softmax", {shaped}, {{"axis", int64_t{1}}}));
  replace_head(g, 2, 1);
  verify(g);
  EXPECT_EQ(run(g).dims(), (Dims{2, 2}));
  for (const NodeId id : g.topological_order()) EXPECT_FALSE(g.node(id).is("Softmax"));
}

TEST(FineTuning, RefusesAHeadThatItDoesNotKnow) {
  Graph g = mlp();
  Builder b(g);
  g.set_output(0, b.op("Sigmoid", {g.outputs()[0].value}));
  EXPECT_NE(error_of([&] { replace_head(g, 2, 1); }).find("Sigmoid"), std::string::npos);
}

TEST(FineTuning, NamesTheLastLayers) {
  EXPECT_EQ(last_parameters(mlp(), 1), (std::vector<std::string>{"head.weight", "head.bias"}));
  EXPECT_EQ(last_parameters(mlp(), 9).size(), 4u);
}

TEST(FineTuning, LoraChangesNothingAtFirstAndMerges) {
  Graph g = mlp();
  const Tensor before = run(g);
  const std::vector<std::string> names = add_lora(g, 2, 7);
  verify(g);
  EXPECT_EQ(names.size(), 4u);
  EXPECT_EQ(difference(run(g), before, {0, 0}), "");
  const ValueId up = g.find_value("head.weight.lora_b");
  g.set_constant(up, random_tensor(DType::kFloat, g.value(up).constant.dims(), 3));
  const Tensor changed = run(g);
  EXPECT_NE(difference(changed, before), "");
  merge_lora(g);
  verify(g);
  EXPECT_EQ(difference(run(g), changed, {1e-5, 1e-6}), "");
  EXPECT_EQ(g.node_count(), mlp().node_count());
}

TEST(FineTuning, FreesTheBatch) {
  Graph g = mlp();
  g.value(g.inputs()[0]).type.shape = Shape{1, 4};
  free_batch(g);
  verify(g);
  EXPECT_EQ(run(g).dims(), (Dims{2, 3}));
}

}  // namespace
}  // namespace treadle::test

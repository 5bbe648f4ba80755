// Repeated runs leave the live heap as it is.
#include <gtest/gtest.h>
#include <malloc.h>

#include "tests/runtime/graphs.h"

namespace treadle {
namespace {

// Takes the inputs in turn; after each of them was run a few times the live heap stays as it is.
void expect_steady_heap(Graph graph, const std::vector<std::vector<Value>>& inputs) {
  Session session(Model::create(std::move(graph), raw()), {1});
  std::vector<std::vector<Value>> outputs;
  for (const auto& in : inputs) {
    std::vector<Value> out(session.model().output_count());
    session.run_into(in, out);
    outputs.push_back(std::move(out));
  }
  const auto run = [&](size_t i) { session.run_into(inputs[i], outputs[i]); };
  for (size_t i = 0; i < 3 * inputs.size(); ++i) run(i % inputs.size());
  for (size_t i = 0; i < 1000; ++i) {
    const size_t before = mallinfo2().uordblks;
    run(i % inputs.size());
    ASSERT_EQ(mallinfo2().uordblks, before) << "run " << i;
  }
}

TEST(Session, RepeatedRunsDoNotGrowTheHeap) {
  expect_steady_heap(dense_chain(16), {{ramp({1, 16, 4, 4})}});
}

// Convolutions and a product through oneDNN.
TEST(Session, RepeatedConvolutionsDoNotGrowTheHeap) {
  Graph g;
  Builder b(g);
  ValueId x = g.add_input("x", floats({1, 16, 12, 12}));
  for (int i = 0; i < 3; ++i) {
    x = b.op("Conv", {x, b.constant(ramp({16, 16, 3, 3})), b.constant(ramp({16}))},
             {{"pads", std::vector<int64_t>{1, 1, 1, 1}}});
    x = b.op("MaxPool", {b.op("Relu", {x})}, {{"kernel_shape", std::vector<int64_t>{2, 2}}});
  }
  g.add_output("y", b.op("Gemm", {b.op("Flatten", {x}), b.constant(ramp({16 * 9 * 9, 64}))}));
  expect_steady_heap(std::move(g), {{ramp({1, 16, 12, 12})}});
}

TEST(Session, AlternatingShapesDoNotGrowTheHeap) {
  Graph g;
  Builder b(g);
  const ValueId x = g.add_input("x", floats({Dim::symbol("N"), 8, Dim::symbol("H"), 9}));
  const ValueId y = b.op("Conv", {x, b.constant(ramp({8, 8, 3, 3}))});
  g.add_output("y", b.op("ReduceMean", {b.op("Sigmoid", {y}), b.ints({2, 3})}));
  expect_steady_heap(std::move(g),
                     {{ramp({1, 8, 9, 9})}, {ramp({2, 8, 9, 9})}, {ramp({1, 8, 12, 9})}});
}

}  // namespace
}  // namespace treadle

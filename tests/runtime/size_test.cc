// What must take time in proportion to the size of the model: the time limit of the suite sees to it.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "runtime/plan.h"
#include "tests/runtime/graphs.h"

namespace treadle {
namespace {

// Long-lived and short-lived ones by turns.
TEST(Size, ManyBuffersAliveTogetherDoNotOverlap) {
  constexpr size_t kCount = 100000;
  std::vector<Lifetime> buffers;
  for (size_t i = 0; i < kCount; ++i) {
    buffers.push_back({(i * 37) % 1000 + 1, i, i % 2 == 0 ? kCount : i + i % 5, 0});
  }
  const size_t arena = place_buffers(buffers);
  std::map<size_t, size_t> alive;  // offset to end
  std::multimap<size_t, size_t> deaths;
  for (const Lifetime& b : buffers) {
    while (!deaths.empty() && deaths.begin()->first < b.first) {
      alive.erase(deaths.begin()->second);
      deaths.erase(deaths.begin());
    }
    const auto after = alive.lower_bound(b.offset);
    ASSERT_EQ(b.offset % 64, 0u);
    ASSERT_LE(b.offset + b.bytes, arena);
    ASSERT_TRUE(after == alive.end() || b.offset + b.bytes <= after->first);
    ASSERT_TRUE(after == alive.begin() || std::prev(after)->second <= b.offset);
    alive[b.offset] = b.offset + b.bytes;
    deaths.emplace(b.last, b.offset);
  }
}

TEST(Size, BuffersAfterEachOtherShareBytes) {
  std::vector<Lifetime> buffers;
  for (size_t i = 0; i < 100000; ++i) buffers.push_back({100, i, i + 1, 0});
  EXPECT_EQ(place_buffers(buffers), 256u);
}

// Kernels that work in place, so that all share one buffer.
TEST(Size, LongChain) {
  constexpr int kLength = 30000;
  Graph g;
  Builder b(g);
  ValueId x = g.add_input("x", floats({4}));
  const ValueId one = b.scalar(DType::kFloat, 1);
  for (int i = 0; i < kLength; ++i) x = b.op("Add", {x, one});
  g.add_output("y", x);
  std::vector<Value> got(1);
  Session(Model::create(std::move(g), raw()), {1})
      .run_into(std::vector<Value>{Tensor::of<float>({4}, {0, 1, 2, 3})}, got);
  EXPECT_EQ(got[0].tensor().to_doubles(),
            (std::vector<double>{kLength, kLength + 1, kLength + 2, kLength + 3}));
}

TEST(Size, ValueOfManyReaders) {
  Graph g;
  const ValueId from = g.add_input("from", floats({4}));
  const ValueId to = g.add_input("to", floats({4}));
  for (int i = 0; i < 100000; ++i) {
    Node node;
    node.op = find_op("Relu");
    node.inputs = {from};
    node.outputs = {g.add_value("")};
    g.add_node(std::move(node));
  }
  g.replace_uses(from, to);
  EXPECT_TRUE(g.value(from).users.empty());
  EXPECT_EQ(g.value(to).users.size(), 100000u);
  EXPECT_EQ(g.node(NodeId{7}).input(0), to);
}

TEST(Size, ManyInputsByName) {
  Graph g;
  Builder b(g);
  std::vector<NamedValue> inputs;
  std::vector<ValueId> parts;
  for (size_t i = 0; i < 20000; ++i) {
    inputs.push_back({cat("a_rather_long_prefix_of_every_name_", i),
                      Tensor::of<float>({1}, {static_cast<float>(i)})});
    parts.push_back(g.add_input(inputs.back().name, floats({1})));
  }
  g.add_output("y", b.op("Concat", parts, {{"axis", int64_t{0}}}));
  Session session(Model::create(std::move(g), raw()), {1});
  std::reverse(inputs.begin(), inputs.end());
  const std::vector<Value> got = session.run(inputs);
  EXPECT_EQ(got[0].tensor().data<float>()[12345], 12345);
}

}  // namespace
}  // namespace treadle

// A memory budget: fewer bytes, more steps, the same results.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <random>

#include "tests/runtime/graphs.h"

namespace treadle {
namespace {

constexpr int64_t kNever = -1;

struct Ran {
  std::vector<Value> results;  // outputs, then what the inputs hold
  PlanInfo plan;

  size_t repeated() const {
    return static_cast<size_t>(std::ranges::count_if(
        plan.steps, [](const StepInfo& s) { return s.kernel.ends_with(", again"); }));
  }
};

Ran run_within(const Graph& graph, int64_t budget, bool optimize = false) {
  ModelOptions options;
  options.optimize = optimize;
  options.memory_budget = budget;
  Session session(Model::create(graph.clone(), options), {1});
  std::vector<Value> inputs;
  std::vector<Type> types;
  for (size_t i = 0; i < session.model().input_count(); ++i) {
    types.push_back(session.model().input(i).type);
    inputs.emplace_back(ramp(*concrete(*types.back().shape)));
  }
  Ran ran;
  ran.results.resize(session.model().output_count());
  session.run_into(inputs, ran.results);
  ran.plan = session.describe_plan(types);
  ran.results.insert(ran.results.end(), inputs.begin(), inputs.end());
  return ran;
}

void expect_same_bits(const Ran& got, const Ran& want) {
  ASSERT_EQ(got.results.size(), want.results.size());
  for (size_t i = 0; i < got.results.size(); ++i) {
    ASSERT_EQ(got.results[i].empty(), want.results[i].empty());
    if (want.results[i].empty()) continue;  // of a state
    const Tensor& g = got.results[i].tensor();
    const Tensor& w = want.results[i].tensor();
    ASSERT_EQ(g.bytes(), w.bytes());
    EXPECT_EQ(std::memcmp(g.raw(), w.raw(), w.bytes()), 0) << "value " << i;
  }
}

// A state that plays no part, by which the graph counts as one that trains.
void add_state(Graph& g, Builder& b) {
  const ValueId old = g.add_input("old", floats({4}));
  g.add_output("new", b.op("Neg", {old}));
  g.states.push_back({"old", "new"});
}

// Each level's value is read right after it and again on the way back, as training does.
Graph there_and_back(int levels, Dims dims) {
  Graph g;
  Builder b(g);
  std::vector<ValueId> values = {g.add_input("x", floats(symbolic(dims)))};
  for (int i = 0; i < levels; ++i) values.push_back(b.op("Tanh", {b.op("Neg", {values.back()})}));
  ValueId back = values.back();
  for (int i = levels; i >= 0; --i) back = b.op("Mul", {back, values[static_cast<size_t>(i)]});
  g.add_output("y", b.op("ReduceSum", {back}));
  add_state(g, b);
  return g;
}

TEST(Rematerialize, FitsABudget) {
  const Graph g = there_and_back(12, {1000});
  const Ran plain = run_within(g, kNever);
  EXPECT_EQ(plain.repeated(), 0u);
  ASSERT_GE(plain.plan.memory.arena_bytes, 12u * 4000);
  for (const int64_t budget : {40'000, 30'000}) {
    const Ran less = run_within(g, budget);
    expect_same_bits(less, plain);
    EXPECT_LE(less.plan.memory.arena_bytes, static_cast<size_t>(budget));
    EXPECT_GT(less.repeated(), 0u);
  }
}

TEST(Rematerialize, RepeatsNothingThatFitsAnyway) {
  const Graph g = there_and_back(12, {1000});
  EXPECT_EQ(run_within(g, 1'000'000).repeated(), 0u);
  EXPECT_EQ(run_within(g, 0).repeated(), 0u);  // small
}

TEST(Rematerialize, GivesUpNothingWhereItDoesNotFitAtAll) {
  const Graph g = there_and_back(12, {1000});
  const Ran plain = run_within(g, kNever);
  const Ran least = run_within(g, 1);
  expect_same_bits(least, plain);
  EXPECT_LT(least.plan.memory.arena_bytes, plain.plan.memory.arena_bytes);
}

TEST(Rematerialize, IsForGraphsThatTrain) {
  Graph g = there_and_back(12, {1000});
  g.states.clear();
  EXPECT_EQ(run_within(g, 1).repeated(), 0u);
}

TEST(Rematerialize, TakesWhatIsNearlyFreeUnasked) {
  Graph g;
  Builder b(g);
  const ValueId x = g.add_input("x", floats({256, 1024}));
  const ValueId w = b.constant(ramp({1024, 1024}));
  std::vector<ValueId> products, slopes;
  ValueId h = x;
  for (int i = 0; i < 8; ++i) {
    products.push_back(b.op("MatMul", {h, w}));
    h = b.op("Tanh", {products.back()});
    slopes.push_back(h);
  }
  for (size_t i = products.size(); i-- > 0;) {
    h = b.op("Mul", {b.op("Mul", {h, products[i]}), slopes[i]});
    h = b.op("MatMul", {h, w});
  }
  g.add_output("y", b.op("ReduceSum", {h}));
  add_state(g, b);
  const Ran plain = run_within(g, kNever);
  const Ran less = run_within(g, 0);
  expect_same_bits(less, plain);
  EXPECT_GT(less.repeated(), 0u);
  EXPECT_LT(less.plan.memory.arena_bytes, plain.plan.memory.arena_bytes * 9 / 10);
  for (const StepInfo& s : less.plan.steps) {
    EXPECT_FALSE(s.kernel.ends_with(", again") && s.op == "MatMul");
  }
}

TEST(Rematerialize, DrawsNothingTwice) {
  Graph g;
  Builder b(g);
  const ValueId x = g.add_input("x", floats({1000}));
  std::vector<ValueId> drawn;
  ValueId h = x;
  for (int i = 0; i < 6; ++i) {
    drawn.push_back(b.op("RandomNormalLike", {h}));
    h = b.op("Tanh", {b.op("Add", {h, drawn.back()})});
  }
  ValueId zero = h;
  for (size_t i = drawn.size(); i-- > 0;) h = b.op("Mul", {h, drawn[i]});
  for (size_t i = drawn.size(); i-- > 0;) zero = b.op("Sub", {drawn[i], drawn[i]});
  g.add_output("y", h);
  g.add_output("zero", zero);
  add_state(g, b);
  const Ran ran = run_within(g, 1);
  for (const StepInfo& s : ran.plan.steps) {
    EXPECT_FALSE(s.kernel.ends_with(", again") && s.op == "RandomNormalLike");
  }
}

// A step that changes the state reads a value that depends on the old one and was given up.
TEST(Rematerialize, ReadsStatesAsTheyWere) {
  Graph g;
  Builder b(g);
  const ValueId w = g.add_input("w", floats({1000}));
  std::vector<ValueId> values = {w};
  for (int i = 0; i < 10; ++i) values.push_back(b.op("Tanh", {values.back()}));
  ValueId back = values.back();
  const ValueId next = b.op("Neg", {b.op("Mul", {back, w})});
  for (size_t i = values.size(); i-- > 1;) back = b.op("Mul", {back, values[i]});
  g.add_output("next", next);
  g.add_output("y", b.op("ReduceSum", {back}));
  g.states.push_back({"w", "next"});
  const Ran plain = run_within(g, kNever);
  const Ran less = run_within(g, 1);
  EXPECT_GT(less.repeated(), 0u);
  expect_same_bits(less, plain);
}

// Values of 6·k elements, joined, cut up, viewed, and read again much later.
Graph random_graph(uint32_t seed) {
  std::mt19937 random(seed);
  const auto pick = [&](size_t n) { return static_cast<size_t>(random() % n); };
  Graph g;
  Builder b(g);
  std::vector<ValueId> values = {g.add_input("x", floats({1, 96, 2})),
                                 g.add_input("w", floats({1, 96, 2}))};
  const ValueId state = values[1];
  for (int i = 0; i < 40; ++i) {
    const ValueId a = values[pick(values.size())], c = values[values.size() - 1 - pick(2)];
    switch (pick(7)) {
      case 0: values.push_back(b.op("Tanh", {a})); break;
      case 1: values.push_back(b.op("Softmax", {c})); break;
      case 2: values.push_back(b.op("Mul", {a, c})); break;
      case 3: {
        const ValueId both = b.op("Concat", {a, b.op("Neg", {c})}, {{"axis", int64_t{1}}});
        values.push_back(b.op("Slice", {both, b.ints({64}), b.ints({160}), b.ints({1})}));
        break;
      }
      case 4: {
        const auto parts =
            b.add("Split", {c}, {{"axis", int64_t{1}}, {"num_outputs", int64_t{2}}}, 2);
        values.push_back(b.op("Concat", {parts[1], parts[0]}, {{"axis", int64_t{1}}}));
        break;
      }
      case 5:
        values.push_back(b.op("Reshape", {b.op("Sigmoid", {b.op("Reshape", {c, b.ints({192})})}),
                                          b.ints({1, 96, 2})}));
        break;
      default: values.push_back(b.op("Sub", {c, a}));
    }
  }
  g.add_output("y", b.op("Add", {values[pick(values.size() - 2) + 2], values.back()}));
  g.add_output("z", values[pick(values.size() - 2) + 2]);
  g.add_output("next", b.op("Add", {state, values[pick(values.size() - 2) + 2]}));
  g.states.push_back({"w", "next"});
  return g;
}

TEST(Rematerialize, OfRandomGraphsIsExact) {
  size_t repeated = 0;
  for (uint32_t seed = 0; seed < 60; ++seed) {
    SCOPED_TRACE(seed);
    const Graph g = random_graph(seed);
    for (const bool optimize : {false, true}) {
      const Ran plain = run_within(g, kNever, optimize);
      const auto arena = static_cast<int64_t>(plain.plan.memory.arena_bytes);
      for (const int64_t budget : {arena * 3 / 4, arena / 2, int64_t{1}}) {
        const Ran less = run_within(g, budget, optimize);
        expect_same_bits(less, plain);
        EXPECT_LE(less.plan.memory.arena_bytes, plain.plan.memory.arena_bytes);
        repeated += less.repeated();
      }
    }
    if (HasFailure()) return;
  }
  EXPECT_GT(repeated, 60u);
}

}  // namespace
}  // namespace treadle

// States: inputs that a run overwrites with one of its outputs.
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/runtime/graphs.h"

namespace treadle {
namespace {

// Kernels round otherwise than the reference.
void expect_near(const Value& got, const Value& want, const std::string& what) {
  const std::vector<double> x = got.tensor().to_doubles(), y = want.tensor().to_doubles();
  ASSERT_EQ(x.size(), y.size()) << what;
  for (size_t i = 0; i < x.size(); ++i) EXPECT_NEAR(x[i], y[i], 1e-4) << what << " element " << i;
}

// What the states hold after `runs` runs must be what a caller gets who feeds the outputs of a
// graph without states back as inputs.
void expect_fed_back(const std::string& text, const std::vector<State>& states, bool optimize,
                     size_t copies = SIZE_MAX) {
  Graph plain = parse(text);
  Graph stateful = plain.clone();
  stateful.states = states;
  verify(stateful);
  ModelOptions options;
  options.optimize = optimize;
  std::vector<Value> inputs, want_inputs;
  for (size_t i = 0; i < plain.inputs().size(); ++i) {
    Tensor t = ramp({4});
    t.data<float>()[0] = static_cast<float>(i) + 0.5f;
    want_inputs.push_back(t.clone());
    inputs.push_back(t);
  }
  Session session(Model::create(std::move(stateful), options), {1});
  for (int run = 0; run < 3; ++run) {
    const std::vector<Value> want = evaluate(plain, want_inputs);
    std::vector<Value> got(want.size());
    session.run_into(inputs, got);
    for (size_t o = 0; o < want.size(); ++o) {
      const std::string& name = plain.outputs()[o].name;
      const auto state = std::ranges::find(states, name, &State::output);
      if (state == states.end()) {
        expect_near(got[o], want[o], cat(name, " of run ", run));
        continue;
      }
      EXPECT_TRUE(got[o].empty());
      const size_t i = session.model().find_input(state->input);
      expect_near(inputs[i], want[o], cat(state->input, " after run ", run));
      want_inputs[i] = want[o].tensor().clone();
    }
  }
  if (copies == SIZE_MAX) return;
  size_t found = 0;
  for (const StepInfo& s : session.describe_plan({}).steps) found += s.op == "copy";
  EXPECT_EQ(found, copies);
}

void expect_fed_back_both(const std::string& text, const std::vector<State>& states,
                          size_t copies = SIZE_MAX) {
  expect_fed_back(text, states, false, copies);
  expect_fed_back(text, states, true, copies);
}

TEST(State, IsWrittenInPlace) {
  expect_fed_back_both(R"(g (float[4] w, float[4] x) => (float[4] loss, float[4] next) {
    loss = Mul (w, x)
    g = Tanh (loss)
    next = Sub (w, g)
  })",
                       {{"w", "next"}}, 0);
}

TEST(State, IsScatteredIntoInPlace) {
  expect_fed_back_both(R"(g (float[4] w, float[4] x) => (float[4] next)
    <int64[4, 1] places = {1, 3, 1, 0}>
  {
    next = ScatterND <reduction = "add"> (w, places, x)
  })",
                       {{"w", "next"}}, 0);
}

TEST(State, IsScatteredIntoBesideItselfWhereItIsReadToo) {
  expect_fed_back_both(R"(g (float[4] w) => (float[4] next)
    <int64[4] places = {1, 2, 3, 0}>
  {
    next = ScatterElements (w, places, w)
  })",
                       {{"w", "next"}});
}

// Softmax's kernel and the one of CumSum are steps of their own, whatever the optimizer fuses.
TEST(State, IsReadBeforeItIsOverwritten) {
  expect_fed_back_both(R"(g (float[4] w) => (float[4] next, float[4] y)
    <int64 axis = {0}>
  {
    next = Softmax (w)
    twice = Softmax (next)
    sum = CumSum (w, axis)
    y = Add (sum, twice)
  })",
                       {{"w", "next"}}, 0);
}

// The last reader needs the new value too.
TEST(State, KeepsItsOldValueForLaterReaders) {
  expect_fed_back_both(R"(g (float[4] w) => (float[4] next, float y) {
    next = Softmax (w)
    twice = Softmax (next)
    y = MatMul (twice, w)
  })",
                       {{"w", "next"}}, 1);
}

TEST(State, OfAnotherIsTheOldValue) {
  const std::string swap = R"(g (float[4] a, float[4] b) => (float[4] to_a, float[4] to_b) {
    to_a = Identity (b)
    to_b = Identity (a)
  })";
  expect_fed_back_both(swap, {{"a", "to_a"}, {"b", "to_b"}});
  const std::string shift = R"(g (float[4] a, float[4] b) => (float[4] to_a, float[4] to_b) {
    to_a = Neg (b)
    to_b = Identity (a)
  })";
  expect_fed_back_both(shift, {{"a", "to_a"}, {"b", "to_b"}});
}

TEST(State, MayStayOrBecomeAConstant) {
  expect_fed_back_both(R"(g (float[4] a, float[4] b) => (float[4] to_a, float[4] to_b)
    <float[4] k = {1, 2, 3, 4}>
  {
    to_a = Identity (a)
    to_b = Identity (k)
  })",
                       {{"a", "to_a"}, {"b", "to_b"}});
}

TEST(State, MomentumAndWeightFromOneGradient) {
  expect_fed_back_both(R"(g (float[4] w, float[4] v, float[4] x) => (float[4] nw, float[4] nv)
    <float mu = {0.5}>
  {
    g = Mul (w, x)
    kept = Mul (v, mu)
    nv = Add (kept, g)
    nw = Sub (w, nv)
  })",
                       {{"w", "nw"}, {"v", "nv"}}, 0);
}

TEST(State, IsReadByDataDependentNodesFirst) {
  expect_fed_back_both(R"(g (float[4] w, float[4] x) => (float[4] next, float[N] picked) {
    next = Sub (w, x)
    positive = Relu (w)
    where = NonZero (positive)
    rows = Transpose (where)
    picked = GatherND (w, rows)
  })",
                       {{"w", "next"}});
}

TEST(State, MustBeAnInputAndAnOutputOfOneType) {
  auto message = [](std::vector<State> states) {
    Graph g = parse(R"(g (float[4] w) => (float[4] y, int64[4] z) {
      y = Neg (w)
      z = Cast <to = 7> (w)
    })");
    g.states = std::move(states);
    try {
      verify(g);
    } catch (const Error& e) {
      return std::string(e.what());
    }
    return std::string();
  };
  EXPECT_EQ(message({{"w", "y"}}), "");
  EXPECT_NE(message({{"v", "y"}}).find("'v' is no input"), std::string::npos);
  EXPECT_NE(message({{"y", "y"}}).find("'y' is no input"), std::string::npos);
  EXPECT_NE(message({{"w", "n"}}).find("'n', which does not exist"), std::string::npos);
  EXPECT_NE(message({{"w", "z"}}).find("would become int64"), std::string::npos);
  EXPECT_NE(message({{"w", "y"}, {"w", "y"}}).find("twice"), std::string::npos);
}

}  // namespace
}  // namespace treadle

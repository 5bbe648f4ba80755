// Gradients through If, Scan, Loop, sequences and optionals.
#include <gtest/gtest.h>

#include "graph/ops/op.h"
#include "graph/text.h"
#include "tests/support/gradcheck.h"
#include "tests/support/tensors.h"
#include "training/autodiff.h"

namespace treadle::test {
namespace {

const Gradcheck kTwice{.order = 2};

Value random(Dims dims, uint64_t seed) {
  return random_tensor(DType::kDouble, std::move(dims), seed, 0.5, 1.5);
}

void expect_right(const std::string& text, const std::vector<Value>& inputs,
                  const Gradcheck& options = kTwice) {
  SCOPED_TRACE(text);
  try {
    EXPECT_EQ(gradcheck(parse(text), inputs, options), "");
  } catch (const Error& e) {
    ADD_FAILURE() << e.what();
  }
}

// Only the branch that is taken; zeros for what only the other one reads.
constexpr const char* kIf = R"(f (bool c, double[2] a, double[2] b) => (double[2] y) {
  y = If (c) <
    then_branch = t () => (double[2] u) { u = Mul (a, a) },
    else_branch = e () => (double[2] v) { v = Mul (a, b) }>
})";

TEST(IfGradient, OfTheBranchTaken) {
  for (bool taken : {true, false}) {
    expect_right(kIf, {bools({}, {taken}), random({2}, 1), random({2}, 2)});
  }
  const std::vector<Value> got =
      gradients_at(parse(kIf), {bools({}, {true}), f64({2}, {1, 2}), f64({2}, {3, 4})});
  EXPECT_EQ(difference(got[1], f64({2}, {0, 0})), "");
}

TEST(IfGradient, ABranchThatCannotRunIsNotTaken) {
  expect_right(R"(f (bool c, double[2] x) => (double[2] y) <int64[1] zero = {0}> {
    z = Mul (x, x)
    y = If (c) <
      then_branch = t () => (u) { u = Squeeze (z, zero) },
      else_branch = e () => (v) { v = Mul (z, x) }>
  })",
               {bools({}, {false}), random({2}, 1)});
}

TEST(IfGradient, OfOutputsThatAreCaptures) {
  expect_right(R"(f (bool c, double[2] x, double[2] z) => (double[2] y, double[2] w) {
    y, w = If (c) <
      then_branch = t () => (double[2] u, double[2] p) {
        u = Identity (x)
        p = Mul (x, z)
      },
      else_branch = e () => (double[2] v, double[2] q) {
        v = Exp (z)
        q = Identity (v)
      }>
  })",
               {bools({}, {true}), random({2}, 1), random({2}, 2)});
}

// What the body captures gets the sum over the steps.
TEST(ScanGradient, DirectionsAxesAndCapturedWeights) {
  for (const char* attributes :
       {"num_scan_inputs = 1",
        "num_scan_inputs = 1, scan_input_directions = [1], scan_output_directions = [1]",
        "num_scan_inputs = 1, scan_input_axes = [1], scan_output_axes = [1]",
        "num_scan_inputs = 1, scan_input_axes = [-1], scan_output_directions = [1]"}) {
    expect_right(std::string(R"(f (double[2] s, double[2, 2] x, double[2, 2] w) => (last, sums) {
      last, sums = Scan (s, x) <)") +
                     attributes + R"(,
        body = b (double[2] state, double[2] row) => (double[2] next, double[2] out) {
          h = MatMul (w, state)
          sum = Add (h, row)
          next = Tanh (sum)
          out = Mul (next, state)
        }>
    })",
                 {random({2}, 1), random({2, 2}, 2), random({2, 2}, 3)});
  }
}

TEST(ScanGradient, OfNoSteps) {
  expect_right(R"(f (double[2] s, double[0, 2] x, double[2] w) => (last, sums) {
    last, sums = Scan (s, x) <
      num_scan_inputs = 1,
      body = b (double[2] state, double[2] row) => (double[2] next, double[2] out) {
        p = Mul (state, w)
        next = Add (p, row)
        out = Identity (next)
      }>
  })",
               {random({2}, 1), random({0, 2}, 2), random({2}, 3)});
}

// A counter among the carried values has no gradient.
constexpr const char* kLoop = R"(f (int64 n, double[2] x, double[2] w) => (double[2] y, all) {
  y, all = Loop (n, "", x) <
    body = b (int64 i, bool going, double[2] v) => (bool on, double[2] next, double[2] seen) {
      on = Identity (going)
      k = Cast <to = 11> (i)
      p = Mul (v, w)
      q = Add (p, k)
      next = Sin (q)
      seen = Mul (next, w)
    }>
})";

TEST(LoopGradient, OfAnyNumberOfTrips) {
  for (int64_t trips : {0, 1, 4}) {
    expect_right(kLoop, {i64({}, {trips}), random({2}, 1), random({2}, 2)});
  }
}

TEST(LoopGradient, OfALoopThatStopsByItself) {
  expect_right(R"(f (double x, double w) => (double y) <double limit = {5}> {
    go = Less (x, limit)
    y = Loop ("", go, x) <
      body = b (int64 i, bool going, double v) => (bool on, double next) {
        p = Mul (v, w)
        next = Add (p, x)
        on = Less (next, limit)
      }>
  })",
               {Tensor::scalar<double>(1), Tensor::scalar<double>(1.3)});
}

TEST(LoopGradient, OfShapesThatChange) {
  expect_right(R"(f (int64 n, double[k] x, double[1] w) => (double[m] y) {
    y = Loop (n, "", x) <
      body = b (int64 i, bool going, double[a] v) => (bool on, double[c] next) {
        on = Identity (going)
        p = Mul (v, w)
        next = Concat <axis = 0> (p, v)
      }>
  })",
               {i64({}, {3}), random({2}, 1), random({1}, 2)});
}

TEST(LoopGradient, OfASequenceThatGrows) {
  expect_right(R"(f (int64 n, double[2] x) => (double[k] y) {
    start = SequenceConstruct (x)
    s = Loop (n, "", start) <
      body = b (int64 i, bool going, seq(double[2]) v) => (bool on, seq(double[2]) next) {
        on = Identity (going)
        last = SequenceAt (v, i)
        more = Mul (last, x)
        next = SequenceInsert (v, more)
      }>
    y = ConcatFromSequence <axis = 0> (s)
  })",
               {i64({}, {2}), random({2}, 1)});
}

TEST(LoopGradient, OfALoopInALoop) {
  expect_right(R"(f (int64 n, double[2] x, double[2] w) => (double[2] y) {
    y = Loop (n, "", x) <
      body = outer (int64 i, bool going, double[2] v) => (bool on, double[2] next) {
        on = Identity (going)
        next = Loop (n, "", v) <
          body = inner (int64 j, bool running, double[2] u) => (bool still, double[2] after) {
            still = Identity (running)
            p = Mul (u, w)
            after = Add (p, v)
          }>
      }>
  })",
               {i64({}, {2}), random({2}, 1), random({2}, 2)});
}

// The gradient of a weight that every trip reads is one sum of the weight's size.
TEST(LoopGradient, CapturedWeightsAreSummedNotStacked) {
  const Graph g = autodiff(parse(kLoop), {.outputs = {"y"}, .wrt = {"w"}});
  bool found = false;
  for (NodeId id : g.topological_order()) {
    const Node& node = g.node(id);
    if (!node.is("Scan") || node.name.find("gradient") == std::string::npos) continue;
    found = true;
    for (ValueId v : node.outputs) EXPECT_EQ(g.value(v).type.text(), "double[2]");
  }
  EXPECT_TRUE(found) << print(g);
}

// As the importer leaves them: the bodies have constants of their own, which share the bytes.
TEST(LoopGradient, OfWeightsThatBodiesHoldThemselves) {
  Graph g = parse(R"(f (double[2] x) => (double[2] y) <double[2] w = {2, 3}, int64 n = {2}> {
    y = Loop (n, "", x) <
      body = b (int64 i, bool going, double[2] v) => (bool on, double[2] next) {
        on = Identity (going)
        next = Mul (v, w)
      }>
  })");
  const NodeId loop = g.topological_order()[0];
  const ValueId w = g.find_value("w");
  Graph& body = *g.mutable_node(loop).subgraphs[0].graph;
  const ValueId input = body.inputs().back();
  const ValueId own = body.add_constant("own", g.value(w).constant);
  body.replace_uses(input, own);
  body.remove_input(body.inputs().size() - 1);
  g.remove_capture(loop, 0, 0);
  verify(g);
  const Graph d = autodiff(g, {.outputs = {"y"}, .wrt = {"w"}});
  EXPECT_EQ(difference(evaluate(d, {f64({2}, {5, 7})})[0], f64({2}, {20, 42})), "");
}

TEST(SequenceGradient, OfWhatIsBuiltReadAndJoined) {
  expect_right(R"(f (double[1] a, double[2] b, int64 at) => (joined, one, rest) {
    s = SequenceConstruct (a, b)
    t = SequenceInsert (s, b, at)
    joined = ConcatFromSequence <axis = 0> (t)
    one = SequenceAt (t, at)
    u = SequenceErase (t)
    r = SequenceAt (u, at)
    rest = Mul (r, r)
  })",
               {random({1}, 1), random({2}, 2), i64({}, {-1})});
}

TEST(SequenceGradient, OfSplitsStacksAndMaps) {
  expect_right(R"(f (double[3, 2] x, double[2] w) => (y, z) {
    s = SplitToSequence <axis = 0, keepdims = 0> (x)
    m = SequenceMap (s, w) <
      body = b (double[2] e, double[2] v) => (double[2] r) {
        p = Mul (e, v)
        r = Mul (p, w)
      }>
    y = ConcatFromSequence <axis = 1, new_axis = 1> (m)
    parts = SplitToSequence <axis = 0> (x)
    z = ConcatFromSequence <axis = 1> (parts)
  })",
               {random({3, 2}, 1), random({2}, 2)});
}

TEST(OptionalGradient, PassesThrough) {
  expect_right(R"(f (double[2] x) => (double[2] y) {
    o = Optional (x)
    e = OptionalGetElement (o)
    y = Mul (e, x)
  })",
               {random({2}, 1)});
}

}  // namespace
}  // namespace treadle::test

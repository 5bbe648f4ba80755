// What a plan says about itself before it runs.
#include <gtest/gtest.h>

#include <cstring>
#include <limits>

#include "graph/text.h"
#include "tests/runtime/graphs.h"

namespace treadle {
namespace {

const StepInfo& step_of(const PlanInfo& plan, const std::string& op) {
  for (const StepInfo& s : plan.steps) {
    if (s.op == op) return s;
  }
  fail(Code::kInternal, "no step ", op);
}

TEST(Describe, NamesWhatWaitsForData) {
  Session session(Model::create(data_dependent(), raw()), {1});
  const Type x = floats({40});
  const PlanInfo plan = session.describe_plan({&x, 1});
  EXPECT_EQ(step_of(plan, "Add").backend, "cpu");
  EXPECT_EQ(step_of(plan, "NonZero").reason, "its shapes depend on data");
  EXPECT_EQ(step_of(plan, "Gather").reason, "planned in the run");
  EXPECT_EQ(step_of(plan, "Neg").reason, "planned in the run");
}

TEST(Describe, CountsWhatIsInBodies) {
  Session session(
      Model::create(parse(R"(g (bool c, float[2, 3] x, float[3, 5] w) => (float[a, b] y) {
    y = If (c) <
      then_branch = t () => (float[a, b] p) { p = MatMul (x, w) },
      else_branch = e () => (float[a, b] q) { q = Identity (x) }>
  })"),
                    raw()),
      {1});
  const std::vector<Type> types{Type::tensor(DType::kBool, Shape{}), floats({2, 3}),
                                floats({3, 5})};
  const PlanInfo plan = session.describe_plan(types);
  EXPECT_EQ(step_of(plan, "MatMul").multiply_adds, 2 * 3 * 5);
  EXPECT_EQ(step_of(plan, "MatMul").shapes, "[2, 3] [3, 5] -> [2, 5]");
  EXPECT_EQ(step_of(plan, "Identity").reason, "planned in the run");
}

TEST(Describe, TransposesOfAllTypes) {
  for (const DType dtype : {DType::kDouble, DType::kInt64, DType::kBool, DType::kInt16,
                            DType::kFloat16, DType::kUint8, DType::kInt32, DType::kComplex64}) {
    for (const auto& perm : {std::vector<int64_t>{0, 3, 1, 2}, {0, 2, 3, 1}}) {
      Graph g;
      Builder b(g);
      const ValueId x = g.add_input("x", Type::tensor(dtype, Shape{2, 3, 4, 5}));
      const ValueId y = b.op("Transpose", {x}, {{"perm", perm}});
      g.add_output("y", y);
      g.add_output("z", b.op("Transpose", {y}, {{"perm", perm}}));
      Tensor in = Tensor::zeros(dtype, {2, 3, 4, 5});
      for (size_t i = 0; i < in.bytes(); ++i) in.raw()[i] = std::byte(i % 2);
      const std::vector<Value> inputs{in};
      const std::vector<Value> want = evaluate(g, inputs);
      Session session(Model::create(g.clone(), raw()), {1});
      std::vector<Value> got(2);
      session.run_into(inputs, got);
      for (size_t i = 0; i < 2; ++i) {
        const Tensor &a = got[i].tensor(), &e = want[i].tensor();
        ASSERT_EQ(a.dims(), e.dims());
        EXPECT_EQ(std::memcmp(a.raw(), e.raw(), e.bytes()), 0) << dtype_name(dtype);
      }
    }
  }
}

// What a model computes with channels last needs no copy between convolutions, which do so anyway.
TEST(Describe, TransposesToChannelsLastAreViews) {
  const Graph graph = parse(R"(g (float[1, 32, 9, 8] x, float[32, 32, 3, 3] w, float[32] s) =>
      (float[1, 32, 7, 6] y, float[1, 9, 8, 32] z)
  {
    a = Conv <pads = [1, 1, 1, 1]> (x, w)
    z = Transpose <perm = [0, 2, 3, 1]> (a)
    scaled = Mul (z, s)
    b = Transpose <perm = [0, 3, 1, 2]> (scaled)
    sum = Add (b, a)
    y = Conv (sum, w)
  })");
  Session session(Model::create(graph, raw()), {1});
  const std::vector<NamedValue> inputs{
      {"x", ramp({1, 32, 9, 8})}, {"w", ramp({32, 32, 3, 3})}, {"s", ramp({32})}};
  const std::vector<Type> types{floats({1, 32, 9, 8}), floats({32, 32, 3, 3}), floats({32})};
  size_t copies = 0;
  for (const StepInfo& s : session.describe_plan(types).steps) {
    EXPECT_NE(s.op, "Transpose");
    copies += s.op == "reorder" && s.shapes == "[1, 32, 9, 8]" ? 1 : 0;
  }
  EXPECT_LE(copies, 1u);  // of x
  ModelOptions plain = raw();
  plain.device = "reference";
  Session reference(Model::create(graph, plain), {1});
  const std::vector<Value> got = session.run(inputs), want = reference.run(inputs);
  for (size_t i = 0; i < want.size(); ++i) {
    const Tensor &g = got[i].tensor(), &r = want[i].tensor();
    ASSERT_EQ(g.dims(), r.dims());
    for (size_t k = 0; k < r.data<float>().size(); ++k)
      ASSERT_NEAR(g.data<float>()[k], r.data<float>()[k],
                  1e-4 * (1 + std::abs(r.data<float>()[k])));
  }
}

TEST(Describe, CountsGradients) {
  Session session(Model::create(parse(R"(g (float[2, 6, 5, 5] gy, float[6, 4, 3, 3] w,
                                            float[2, 4, 7, 7] x, float[6, 8] a, float[6, 3] b,
                                            float[8, 3] p, float r) =>
      (float[2, 4, 7, 7] gx, float[6, 4, 3, 3] gw, float[8, 3] q)
    <int64[4] of_x = {2, 4, 7, 7}, int64[4] of_w = {6, 4, 3, 3}>
  {
    gx = treadle.ConvGradInput (gy, w, of_x)
    gw = treadle.ConvGradWeights (gy, x, of_w)
    q = treadle.GemmUpdate <transA = 1> (p, a, b, r)
  })"),
                                raw()),
                  {1});
  const PlanInfo plan = session.describe_plan({});
  EXPECT_EQ(step_of(plan, "treadle.ConvGradInput").multiply_adds, 2 * 6 * 25 * 4 * 9);
  EXPECT_EQ(step_of(plan, "treadle.ConvGradWeights").multiply_adds, 2 * 6 * 25 * 4 * 9);
  EXPECT_EQ(step_of(plan, "treadle.GemmUpdate").multiply_adds, 8 * 6 * 3);
}

// As when symbols are guessed to be 1: every branch may be wrong for the guess.
TEST(Describe, ToleratesBranchesThatDoNotFit) {
  const Graph g = parse(R"(g (bool c, float[1, n] x) => (float[a] y)
    <float[2] w = {1, 2}, float[3] u = {1, 2, 3}>
  {
    y = If (c) <
      then_branch = t () => (float[a] p) { p = MatMul (x, w) },
      else_branch = e () => (float[a] q) { q = MatMul (x, u) }>
  })");
  const std::vector<Type> types{Type::tensor(DType::kBool, Shape{}), floats({1, 1})};
  EXPECT_EQ(describe_nodes(g, types).size(), 3u);
  Session session(Model::create(g.clone(), raw()), {1});
  EXPECT_EQ(session.describe_plan(types).steps.size(), 3u);
}

TEST(Describe, KnowsTheArenaWithoutARun) {
  Session session(Model::create(dense_chain(16), raw()), {1});
  const size_t planned = session.describe_plan({}).memory.arena_bytes;
  EXPECT_EQ(session.memory().arena_bytes, 0u);
  session.run(std::vector<NamedValue>{{"x", ramp({1, 16, 4, 4})}});
  EXPECT_GT(planned, 0u);
  EXPECT_EQ(session.memory().arena_bytes, planned);
}

TEST(Describe, CountsThatDoNotFitAreCapped) {
  Graph g;
  Builder b(g);
  const int64_t n = int64_t{1} << 30;
  const ValueId x = g.add_input("x", floats({n, n}));
  g.add_output("y", b.op("MatMul", {x, x}));
  ModelOptions options = raw();
  options.device = "reference";
  Session session(Model::create(std::move(g), options), {1});
  const PlanInfo plan = session.describe_plan({});
  EXPECT_EQ(plan.steps[0].multiply_adds, std::numeric_limits<int64_t>::max());
  EXPECT_EQ(plan.steps[0].bytes, std::numeric_limits<int64_t>::max());
}

// Buffers that add up to more than an address has bits.
TEST(Describe, HugeBuffersAreRefused) {
  Graph g;
  Builder b(g);
  ValueId x = g.add_input("x", floats({int64_t{1} << 60}));
  const ValueId y = b.op("Softmax", {x});
  const ValueId z = b.op("Softmax", {y});
  const ValueId u = b.op("Softmax", {z});
  g.add_output("y", b.op("Sum", {y, z, u, b.op("Softmax", {u})}));
  ModelOptions options = raw();
  options.device = "reference";
  Session session(Model::create(std::move(g), options), {1});
  try {
    session.describe_plan({});
    ADD_FAILURE() << "planned";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), Code::kLimit) << e.what();
  }
}

}  // namespace
}  // namespace treadle

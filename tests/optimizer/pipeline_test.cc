// The pipeline's own options and report: skipping, bounding, provenance, bodies.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "graph/ops/op.h"
#include "graph/text.h"
#include "optimizer/optimizer.h"
#include "tests/support/tensors.h"

namespace treadle {
namespace {

using testing::HasSubstr;

Graph three_identities() {
  return parse(R"(g (float[N] x) => (float[N] y) {
  [a] p = Identity (x)
  [b] q = Identity (p)
  [c] r = Identity (q)
  [d] y = Abs (r)
})");
}

int64_t fired(const OptimizeReport& report) {
  int64_t sum = 0;
  for (const PassReport& pass : report.passes) sum += pass.fired;
  return sum;
}

TEST(Pipeline, ReportsWhatFired) {
  Graph g = three_identities();
  const OptimizeReport report = optimize(g);
  EXPECT_EQ(report.nodes_before, 4u);
  EXPECT_EQ(report.nodes_after, 1u);
  EXPECT_EQ(report.passes.size(), pass_names().size());
  EXPECT_EQ(fired(report), 3);
}

TEST(Pipeline, StopsAfterSoManyRewrites) {
  for (int64_t bound : {0, 1, 2}) {
    Graph g = three_identities();
    OptimizeOptions options;
    options.stop_after = bound;
    EXPECT_EQ(fired(optimize(g, options)), bound);
    EXPECT_EQ(g.node_count(), static_cast<size_t>(4 - bound));
  }
}

TEST(Pipeline, SkipsByName) {
  Graph g = three_identities();
  OptimizeOptions options;
  for (const std::string& name : pass_names()) options.skip.insert(name);
  EXPECT_EQ(fired(optimize(g, options)), 0);
  options.skip = {"eliminat"};
  try {
    optimize(g, options);
    FAIL() << "an unknown pass was taken";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), Code::kInvalidArgument);
    EXPECT_THAT(e.what(), HasSubstr("did you mean 'eliminate'?"));
  }
}

TEST(Pipeline, OriginsAreTheSourceNodes) {
  Graph g = parse(R"(g (float[N, 2, 3, 3] x) => (float[N, 2, 3, 3] y)
<float[2, 2, 1, 1] w = {1, 2, 3, 4}, float[2, 1, 1] k = {2, 3}> {
  [conv] c = Conv (x, w)
  [scale] d = Mul (c, k)
  [sig] s = Sigmoid (d)
  [mul] y = Mul (d, s)
})");
  optimize(g);
  ASSERT_EQ(g.node_count(), 1u);
  const Node& node = g.node(g.topological_order()[0]);
  EXPECT_TRUE(node.is("FusedConv", "treadle"));
  EXPECT_EQ(node.attributes.s("activation", ""), "Swish");
  EXPECT_THAT(node.origins, testing::UnorderedElementsAre("conv", "scale", "sig", "mul"));
}

TEST(Pipeline, OptimizesBodies) {
  Graph g = parse(R"(g (float[2] x, bool c) => (float[2] y) {
  y = If <then_branch = t () => (float[2] a) {
      p = Identity (x)
      a = Neg (p)
    }, else_branch = e () => (float[2] b) {
      q = Neg (x)
      b = Neg (q)
    }> (c)
})");
  OptimizeOptions options;
  options.verify = true;
  optimize(g, options);
  const Node& node = g.node(g.topological_order()[0]);
  EXPECT_EQ(node.subgraphs[0].graph->node_count(), 1u);
  EXPECT_EQ(node.subgraphs[1].graph->node_count(), 0u);
}

// What a loop carries has the same shape in every turn where the body keeps it, so that more fuses.
TEST(Pipeline, KnowsTheShapesOfWhatIsCarried) {
  const char* const text = R"(g (float[5, N, 4] x, float[N, 4] h, int64 n, bool c)
      => (float[N, 4] last, float[N, 4] same, float[M, 4] grown)
<float[4, 4] w = {1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8}> {
  last = Scan <num_scan_inputs = 1, body = s (float[N, 4] a, float[N, 4] b) => (float[N, 4] next) {
      p = MatMul (a, w)
      q = Add (p, b)
      next = Tanh (q)
    }> (h, x)
  same = Loop <body = l (int64 i, bool k, float[N, 4] a) => (bool k2, float[N, 4] next) {
      k2 = Identity (k)
      p = Neg (a)
      next = Add (p, a)
    }> (n, c, h)
  grown = Loop <body = m (int64 i, bool k, float[M, 4] a) => (bool k2, float[P, 4] next) {
      k2 = Identity (k)
      p = Concat <axis = 0> (a, h)
      next = Add (p, p)
    }> (n, c, h)
})";
  Graph g = parse(text);
  OptimizeOptions options;
  options.verify = true;
  optimize(g, options);
  std::vector<std::string> bodies;
  for (NodeId id : g.topological_order()) {
    const Graph& body = *g.node(id).subgraphs[0].graph;
    std::string kinds;
    for (NodeId inner : body.topological_order()) kinds += body.node(inner).op->kind + " ";
    bodies.push_back(kinds);
  }
  EXPECT_THAT(bodies,
              testing::UnorderedElementsAre("FusedMatMul ", "FusedElementwise ", "Concat Add "));
}

// Patterns hold of 16-bit models too, whose numbers are the rounded ones, and within branches that
// are known.
TEST(Pipeline, HalvesAreFusedAsFloatsAre) {
  Graph g = parse(R"(g (float16[N, 8] x) => (float16[N, 8] y)
<float16 root = {15784}, float16 one = {15360}, float16 half = {14336}, bool yes = {1}> {
  y = If <then_branch = t () => (float16[N, 8] a) {
      d = Div (x, root)
      e = Erf (d)
      s = Add (e, one)
      m = Mul (x, s)
      a = Mul (m, half)
    }, else_branch = e () => (float16[N, 8] b) {
      b = Neg (x)
    }> (yes)
})");
  OptimizeOptions options;
  options.verify = true;
  optimize(g, options);
  std::vector<std::string> kinds;
  for (NodeId id : g.topological_order()) kinds.push_back(g.node(id).op->kind);
  EXPECT_THAT(kinds, testing::ElementsAre("Cast", "Gelu", "Cast"));
}

// A training step: what the backward pass reads of the centred input is made again from x.
TEST(Pipeline, MakesAgainWhatTheBackwardPassReads) {
  Graph g = parse(R"(g (float[8, 4, 8] x, float[1, 4, 1] mean, float[4] w)
      => (float[8, 4, 8] y, float[4] next) {
    centred = Sub (x, mean)
    y = Relu (centred)
    p = Softmax (y)
    part = Mul (centred, p)
    rest = Mul (x, part)
    sum = ReduceSum <keepdims = 0> (rest)
    next = Sub (w, sum)
  })");
  g.states = {{"w", "next"}};
  Graph optimized = g.clone();
  const OptimizeReport report = optimize(optimized);
  const auto pass = std::ranges::find(report.passes, std::string("recompute"), &PassReport::pass);
  EXPECT_EQ(pass->fired, 1);
  EXPECT_FALSE(optimized.find_value("centred").valid()) << "it is kept";
  const std::vector<Value> inputs = {test::random_tensor(DType::kFloat, {8, 4, 8}, 1),
                                     test::random_tensor(DType::kFloat, {1, 4, 1}, 2),
                                     test::random_tensor(DType::kFloat, {4}, 3)};
  const std::vector<Value> want = evaluate(g, inputs), got = evaluate(optimized, inputs);
  for (size_t i = 0; i < want.size(); ++i) EXPECT_EQ(test::difference(got[i], want[i]), "");
}

}  // namespace
}  // namespace treadle

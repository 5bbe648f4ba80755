// Patches are applied whole or not at all; patterns match operands in any order.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "graph/ops/op.h"
#include "graph/rewrite.h"
#include "graph/text.h"

namespace treadle {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Graph chain() {
  return parse(R"(g (float[N, 2] x) => (float[N, 2] y) <float[2] w = {1, 2}> {
  [first] a = Add (x, w)
  [second] y = Neg (a)
})");
}

TEST(Patch, ReplacesRemovesAndKeepsNames) {
  Graph g = chain();
  const ValueId y = g.find_value("y");
  Patch patch;
  const ValueId flipped = patch.op("Neg", {g.find_value("x")});
  patch.replace(y, patch.op("Sub", {flipped, g.find_value("w")}));
  EXPECT_EQ(apply(g, std::move(patch)), "");
  verify(g);
  const std::vector<NodeId> order = g.topological_order();
  ASSERT_EQ(order.size(), 2u);
  EXPECT_EQ(g.node(order[1]).name, "second");
  EXPECT_THAT(g.node(order[1]).origins, ElementsAre("first", "second"));
  EXPECT_EQ(g.value(g.node(order[1]).output()).name, "y");
}

TEST(Patch, RefusesAnotherTypeAndLeavesTheGraph) {
  Graph g = chain();
  const std::string before = print(g);
  Patch other_dtype;
  other_dtype.replace(g.find_value("a"),
                      other_dtype.op("Cast", {g.find_value("x")}, {{"to", int64_t{7}}}));
  EXPECT_THAT(apply(g, std::move(other_dtype)), HasSubstr("float[N, 2] to int64[N, 2]"));
  Patch other_rank;
  other_rank.replace(g.find_value("a"), g.find_value("w"));
  EXPECT_THAT(apply(g, std::move(other_rank)), HasSubstr("float[N, 2] to float[2]"));
  Patch invalid;
  invalid.replace(g.find_value("a"), invalid.op("Add", {g.find_value("x")}));
  EXPECT_THAT(apply(g, std::move(invalid)), HasSubstr("lacks input"));
  EXPECT_EQ(print(g), before);
  verify(g);
}

TEST(Pattern, BacktracksOverOperandOrders) {
  const Pattern pattern(
      "p (x) => (y) <float c = {2}> { a = Mul (x, c) b = Add (a, x) y = Neg (b) }");
  const Graph g = parse(R"(g (float[N] u) => (float[N] w) <float[1] two = {2}> {
  s = Mul (two, u)
  t = Add (u, s)
  w = Neg (t)
})");
  const NodeId root = g.value(g.find_value("w")).producer;
  const auto match = pattern.match(g, root);
  ASSERT_TRUE(match.has_value());
  EXPECT_EQ((*match)["x"], g.find_value("u"));
  EXPECT_EQ((*match)["a"], g.find_value("s"));
  EXPECT_EQ(match->refused, "");
  EXPECT_FALSE(pattern.match(g, g.value(g.find_value("t")).producer).has_value());
}

TEST(Pattern, TellsWhenInnerValuesAreReadElsewhere) {
  const Pattern pattern("p (x) => (y) { a = Neg (x) y = Abs (a) }");
  const Graph g = parse(R"(g (float[N] u) => (float[N] w, float[N] s) {
  [inner] s = Neg (u)
  w = Abs (s)
})");
  const auto match = pattern.match(g, g.value(g.find_value("w")).producer);
  ASSERT_TRUE(match.has_value());
  EXPECT_THAT(match->refused, HasSubstr("node 'inner' (Neg): its output is read elsewhere"));
}

TEST(Pattern, ComparesGivenAttributesWithDefaults) {
  const Pattern last("p (x) => (y) { y = Softmax <axis = -1> (x) }");
  const Graph g = parse(
      "g (float[2, 2] x) => (float[2, 2] y, float[2, 2] z) {"
      " y = Softmax (x) z = Softmax <axis = 0> (x) }");
  EXPECT_TRUE(last.match(g, g.value(g.find_value("y")).producer).has_value());
  EXPECT_FALSE(last.match(g, g.value(g.find_value("z")).producer).has_value());
}

}  // namespace
}  // namespace treadle

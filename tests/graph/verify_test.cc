// Graphs that break an invariant, one each.
#include <gtest/gtest.h>

#include "graph/text.h"

namespace treadle {
namespace {

Graph small() {
  return parse(R"(g (float[2] x) => (float[2] y) {
    a = Relu (x)
    b = Neg (x)
    y = Add (a, b)
  })");
}

void expect_refused(const Graph& graph, const std::string& part) {
  try {
    verify(graph);
    ADD_FAILURE() << "accepted, expected: " << part;
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find(part), std::string::npos) << e.what();
  }
}

TEST(Verify, AcceptsAGraph) { EXPECT_NO_THROW(verify(small())); }

TEST(Verify, CountsUses) {
  Graph twice = small();
  ValueDef& x = twice.value(twice.inputs()[0]);
  x.users[1] = x.users[0];
  expect_refused(twice, "users of 'x'");
}

TEST(Verify, WantsNamesToDiffer) {
  Graph graph = small();
  graph.value(graph.find_value("a")).name = "b";
  expect_refused(graph, "two values are named 'b'");
}

}  // namespace
}  // namespace treadle

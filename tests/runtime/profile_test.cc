// What a session measures of its runs.
#include <gtest/gtest.h>

#include <map>

#include "tests/runtime/graphs.h"

namespace treadle {
namespace {

// Two plans that begin with the same step, one longer than the other.
TEST(Profile, KeepsThePlansApart) {
  Graph g;
  Builder b(g);
  const ValueId x = g.add_input("x", floats({4}));
  const ValueId y = b.op("Relu", {x});
  g.add_output("a", y);
  g.add_output("b", b.op("Neg", {b.op("Sqrt", {b.op("Exp", {y})})}));
  Session session(Model::create(std::move(g), raw()), {1});
  EXPECT_THROW(session.profile(), Error);
  session.profile(true);
  const std::vector<NamedValue> in{{"x", ramp({4})}};
  RunOptions first;
  first.outputs = {"a"};
  for (int i = 0; i < 3; ++i) {
    session.run(in, first);
    session.run(in);
  }
  std::vector<std::string> ops;
  for (const StepInfo& s : session.profile()) {
    ops.push_back(s.op);
    EXPECT_EQ(s.calls, 3) << s.op;
  }
  EXPECT_EQ(ops, (std::vector<std::string>{"Relu", "Relu", "Exp", "Sqrt", "Neg"}));
  session.profile(true);
  EXPECT_TRUE(session.profile().empty());
}

TEST(Profile, HasTheNodesThatWaitForData) {
  Session session(Model::create(data_dependent(), raw()), {1});
  session.profile(true);
  session.run(std::vector<NamedValue>{{"x", ramp({40})}});
  std::map<std::string, int64_t> calls;
  for (const StepInfo& s : session.profile()) calls[s.op] += s.calls;
  for (const char* op : {"Add", "NonZero", "Gather", "Neg"}) EXPECT_EQ(calls[op], 1) << op;
}

// A cancelled token ends a measured run too, and a failing kernel names its node.
TEST(Profile, LeavesCancellingAndErrorsAsTheyAre) {
  Graph g;
  Builder b(g);
  const ValueId x = g.add_input("x", floats({4}));
  const ValueId i = g.add_input("i", Type::tensor(DType::kInt64, Shape{1}));
  const ValueId y = b.op("Gather", {x, i});
  g.add_output("y", y);
  const std::string name = "a' (b";  // as hard to read as a name can be
  g.mutable_node(g.value(y).producer).name = name;
  Session session(Model::create(std::move(g), raw()), {1});
  session.profile(true);
  RunOptions options;
  CancelToken cancel;
  options.cancel = &cancel;
  std::string node, op;
  auto failure = [&](int64_t index) {
    try {
      session.run(
          std::vector<NamedValue>{{"x", ramp({4})}, {"i", Tensor::of<int64_t>({1}, {index})}},
          options);
    } catch (const Error& e) {
      node = e.node();
      op = e.op();
      return std::string(e.what());
    }
    return std::string();
  };
  EXPECT_EQ(failure(3), "");
  EXPECT_NE(failure(9).find("(Gather)"), std::string::npos);
  EXPECT_EQ(op, "Gather");
  EXPECT_EQ(node, name);
  cancel.cancel();
  EXPECT_NE(failure(3).find("cancelled"), std::string::npos);
}

TEST(Profile, LeavesTheTimeoutAsItIs) {
  Session session(Model::create(endless(), raw()), {1});
  session.profile(true);
  RunOptions options;
  options.timeout_seconds = 0.05;
  try {
    session.run(std::vector<NamedValue>{{"x", ramp({})}}, options);
    ADD_FAILURE() << "it ended";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), Code::kTimeout);
  }
}

}  // namespace
}  // namespace treadle

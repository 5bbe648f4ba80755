// Plans and sessions: views, gathering, in-place, shapes from data, control flow, threads.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cmath>
#include <thread>

#include "runtime/plan.h"
#include "tests/runtime/graphs.h"

namespace treadle {
namespace {

// The session's result equals the reference interpreter's.
void expect_same(const Graph& graph, const std::vector<Value>& inputs, const ModelOptions& options,
                 int threads) {
  const std::vector<Value> want = evaluate(graph, inputs);
  Session session(Model::create(graph.clone(), options), {threads});
  for (int run = 0; run < 3; ++run) {
    std::vector<Value> got(want.size());
    session.run_into(inputs, got);
    for (size_t i = 0; i < want.size(); ++i) {
      const Tensor &a = got[i].tensor(), &b = want[i].tensor();
      ASSERT_EQ(a.dims(), b.dims());
      const std::vector<double> x = a.to_doubles(), y = b.to_doubles();
      for (size_t k = 0; k < x.size(); ++k) {
        ASSERT_NEAR(x[k], y[k], 1e-4 + 1e-4 * std::abs(y[k])) << "output " << i << " element " << k;
      }
    }
  }
}

TEST(Placement, BuffersAliveTogetherDoNotOverlap) {
  std::vector<Lifetime> buffers;
  for (size_t i = 0; i < 200; ++i)
    buffers.push_back({(i * 37) % 1000 + 1, i / 2, i / 2 + (i * 7) % 20, 0});
  const size_t arena = place_buffers(buffers);
  for (size_t i = 0; i < buffers.size(); ++i) {
    EXPECT_EQ(buffers[i].offset % 64, 0u);
    EXPECT_LE(buffers[i].offset + buffers[i].bytes, arena);
    for (size_t k = 0; k < i; ++k) {
      const Lifetime &a = buffers[i], &b = buffers[k];
      const bool together = a.first <= b.last && b.first <= a.last;
      const bool apart = a.offset + a.bytes <= b.offset || b.offset + b.bytes <= a.offset;
      EXPECT_TRUE(!together || apart) << i << " and " << k;
    }
  }
}

TEST(Session, ConcatChainsAreGatheredInPlace) {
  const Graph g = dense_chain(16);
  expect_same(g, {ramp({1, 16, 4, 4})}, raw(), 1);
  Session session(Model::create(g.clone(), raw()), {1});
  for (const StepInfo& s : session.describe_plan({}).steps) {
    EXPECT_TRUE(s.op != "Concat" && s.op != "copy") << s.op << " " << s.kernel;
  }
}

TEST(Session, ConcatOfOneValueTwiceIsRight) {
  Graph g;
  Builder b(g);
  const ValueId x = g.add_input("x", floats({1, 16, 2, 2}));
  const ValueId y = b.op("Relu", {x});
  g.add_output("two", b.op("Concat", {y, y, x}, {{"axis", int64_t{1}}}));
  g.add_output("one", y);
  expect_same(g, {ramp({1, 16, 2, 2})}, raw(), 1);
}

TEST(Session, OutputsThatAreInputsConstantsOrViewsAreCopied) {
  Graph g;
  Builder b(g);
  const ValueId x = g.add_input("x", floats({2, 8}));
  const ValueId y = b.op("Relu", {x});
  g.add_output("input", x);
  g.add_output("constant", b.constant(ramp({3})));
  g.add_output("value", y);
  g.add_output("again", y);
  g.add_output("view", b.op("Reshape", {y, b.ints({16})}));
  g.add_output("row", b.op("Slice", {y, b.ints({1}), b.ints({2}), b.ints({0})}));
  expect_same(g, {ramp({2, 8})}, raw(), 1);
}

TEST(Session, ValuesReadLaterAreNotOverwrittenInPlace) {
  Graph g;
  Builder b(g);
  const ValueId x = g.add_input("x", floats({64}));
  const ValueId a = b.op("Neg", {x});
  const ValueId c = b.op("Relu", {a});
  const ValueId d = b.op("Sigmoid", {a});
  g.add_output("y", b.op("Add", {b.op("Mul", {c, d}), a}));
  expect_same(g, {ramp({64})}, raw(), 1);
}

TEST(Session, SplitsAreViews) {
  Graph g;
  Builder b(g);
  const ValueId x = g.add_input("x", floats({1, 32, 4, 4}));
  const auto parts =
      b.add("Split", {b.op("Relu", {x}), b.ints({16, 16})}, {{"axis", int64_t{1}}}, 2);
  g.add_output("y", b.op("Sub", {parts[0], parts[1]}));
  expect_same(g, {ramp({1, 32, 4, 4})}, raw(), 1);
}

TEST(Session, ShapesFromDataAreFollowed) {
  const Graph g = data_dependent();
  for (int64_t n : {0, 1, 5, 40}) expect_same(g, {ramp({n})}, raw(), 1);
  Session session(Model::create(g.clone(), raw()), {1});
  for (int64_t n : {7, 3, 7, 12, 3}) {
    const std::vector<Value> in{ramp({n})};
    std::vector<Value> got(2);
    session.run_into(in, got);
    EXPECT_EQ(got[0].tensor(), evaluate(g, in)[0].tensor());
  }
}

TEST(Session, ShapesMayFollowFromDataManyTimesOver) {
  Graph g;
  Builder b(g);
  ValueId x = g.add_input("x", floats({3}));
  for (int i = 0; i < 200; ++i) {
    const ValueId where = b.op("Squeeze", {b.op("NonZero", {x}), b.ints({0})});
    x = b.op("Gather", {x, where});
  }
  g.add_output("y", x);
  Session session(Model::create(std::move(g), raw()), {1});
  const std::vector<Value> in{Tensor::of<float>({3}, {1, 0, 3})};
  std::vector<Value> got(1);
  session.run_into(in, got);
  EXPECT_EQ(got[0].tensor(), Tensor::of<float>({2}, {1, 3}));
}

TEST(Session, OnlyWhatIsWantedIsComputed) {
  Graph g;
  Builder b(g);
  const ValueId x = g.add_input("x", floats({4}));
  g.add_output("a", b.op("Relu", {x}));
  g.add_output("b", b.op("Neg", {x}));
  Session session(Model::create(std::move(g), raw()), {1});
  session.profile(true);
  RunOptions options;
  options.outputs = {"b"};
  const std::vector<NamedValue> in{{"x", ramp({4})}};
  EXPECT_EQ(session.run(in, options).size(), 1u);
  const std::vector<StepInfo> steps = session.profile();
  ASSERT_EQ(steps.size(), 1u);
  EXPECT_EQ(steps[0].op, "Neg");
}

TEST(Model, IsFreedWithItsLastSession) {
  std::weak_ptr<const Model> seen;
  {
    const auto model = Model::create(dense_chain(16), raw());
    seen = model;
    Session session(model, {1});
    session.run(std::vector<NamedValue>{{"x", ramp({1, 16, 4, 4})}});
  }
  EXPECT_TRUE(seen.expired());
}

TEST(Optimized, DeadChainsDoNoHarm) {
  Graph g;
  Builder b(g);
  const ValueId x = g.add_input("x", floats({8}));
  b.op("Sigmoid", {b.op("Mul", {x, x})});
  g.add_output("y", b.op("Neg", {x}));
  expect_same(g, {ramp({8})}, {}, 1);
}

TEST(Optimized, AVectorAddedToAMatrixTimesAVectorGoesByRows) {
  Graph g;
  Builder b(g);
  const ValueId x = g.add_input("x", floats({4, 3}));
  const ValueId y = b.op("MatMul", {x, b.constant(ramp({3}))});
  g.add_output("y", b.op("Relu", {b.op("Add", {y, b.constant(ramp({4}))})}));
  expect_same(g, {ramp({4, 3})}, {}, 1);
}

TEST(Optimized, RootsFollowPowAtItsEdges) {
  Graph g;
  Builder b(g);
  const ValueId x = g.add_input("x", floats({4}));
  g.add_output("y", b.op("Pow", {x, b.scalar(DType::kFloat, 0.5)}));
  Session session(Model::create(std::move(g)), {1});
  const auto y = session.run(
      std::vector<NamedValue>{{"x", Tensor::of<float>({4}, {-INFINITY, -0.0f, 9.0f, -1.0f})}});
  const auto out = y[0].tensor().data<float>();
  EXPECT_EQ(out[0], INFINITY);
  EXPECT_FALSE(std::signbit(out[1]));
  EXPECT_FLOAT_EQ(out[2], 3);
  EXPECT_TRUE(std::isnan(out[3]));
}

TEST(Session, ResultsOfWhatDependsOnDataOwnTheirBytes) {
  Graph g;
  Builder b(g);
  const ValueId x = g.add_input("x", floats({2}));
  const ValueId index = g.add_input("i", Type::tensor(DType::kInt64, Shape{}));
  const ValueId both = b.op("SequenceConstruct", {x, b.constant(ramp({2}))});
  const ValueId one = b.op("SequenceAt", {both, index});
  g.add_output("one", one);
  g.add_output("again", one);
  g.add_output("both", both);
  Session session(Model::create(std::move(g), raw()), {1});
  for (int64_t i = 0; i < 2; ++i) {
    const std::vector<NamedValue> in = {{"x", ramp({2})}, {"i", Tensor::scalar<int64_t>(i)}};
    std::vector<Value> first = session.run(in);
    std::get<Tensor>(first[0]).data<float>()[0] = 77;
    const Sequence& elements = *std::get<std::shared_ptr<const Sequence>>(first[2]);
    for (Tensor t : {elements[0].tensor(), elements[1].tensor()}) t.data<float>()[1] = 88;
    EXPECT_EQ(first[1].tensor(), ramp({2}));
    EXPECT_EQ(in[0].value.tensor(), ramp({2}));
    EXPECT_EQ(session.run(in)[0].tensor(), ramp({2}));
  }
}

TEST(Session, BuffersOfOutputsOverlapNothing) {
  Graph g;
  Builder b(g);
  const ValueId x = g.add_input("x", floats({2, 2}));
  g.add_output("y", b.op("Transpose", {x}));
  g.add_output("z", b.op("Neg", {x}));
  Session session(Model::create(std::move(g), raw()), {1});
  const Tensor square = ramp({2, 2}), other = ramp({2, 2});
  const auto message = [&](const Tensor& y, const Tensor& z) -> std::string {
    const std::vector<Value> in = {square};
    std::vector<Value> out = {y, z};
    try {
      session.run_into(in, out);
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), Code::kInvalidArgument);
      return e.what();
    }
    return "";
  };
  EXPECT_NE(message(square, other).find("output 'y' overlaps that of input 'x'"),
            std::string::npos);
  EXPECT_NE(message(other, other).find("output 'z' overlaps that of output 'y'"),
            std::string::npos);
  EXPECT_EQ(message(other, ramp({2, 2})), "");
}

TEST(Session, MisusedInputsAreNamed) {
  Graph g;
  Builder b(g);
  const ValueId x = g.add_input("pixels", floats({Dim::symbol("N"), 3}));
  const ValueId y = g.add_input("other", floats({Dim::symbol("N"), 3}));
  g.add_output("sum", b.op("Add", {x, y}));
  Session session(Model::create(std::move(g), raw()), {1});
  auto message = [&](std::vector<NamedValue> in) -> std::string {
    try {
      session.run(in);
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), Code::kInvalidArgument);
      return e.what();
    }
    return "";
  };
  EXPECT_NE(message({{"pixel", ramp({1, 3})}}).find("did you mean 'pixels'"), std::string::npos);
  EXPECT_NE(message({{"pixels", ramp({1, 3})}}).find("'other' is missing"), std::string::npos);
  EXPECT_NE(message({{"pixels", ramp({1, 3})}, {"other", ramp({2, 3})}}).find("dimension 0"),
            std::string::npos);
  EXPECT_NE(message({{"pixels", ramp({1, 3})}, {"pixels", ramp({1, 3})}}).find("twice"),
            std::string::npos);
  EXPECT_NE(message({{"pixels", ramp({3})}, {"other", ramp({1, 3})}}).find("rank 2"),
            std::string::npos);
}

TEST(Session, ManySessionsShareAModelAtTheSameTime) {
  const Graph g = dense_chain(32);
  const auto model = Model::create(g.clone(), raw());
  const std::vector<Value> in{ramp({1, 32, 4, 4})};
  const Tensor want = evaluate(g, in)[0].tensor();
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      Session session(model, {1});
      for (int i = 0; i < 50; ++i) {
        std::vector<Value> out(1);
        session.run_into(in, out);
        for (size_t k = 0; k < static_cast<size_t>(want.count()); ++k) {
          wrong += std::abs(out[0].tensor().data<float>()[k] - want.data<float>()[k]) > 1e-4f;
        }
      }
    });
  }
  for (std::thread& t : threads) t.join();
  EXPECT_EQ(wrong, 0);
}

TEST(Session, IsBusyForEveryOtherCallWhileItRuns) {
  Session session(Model::create(endless(), raw()), {1});
  CancelToken cancel;
  std::atomic<bool> ended{false};
  std::thread runner([&] {
    RunOptions options;
    options.cancel = &cancel;
    EXPECT_THROW(session.run(std::vector<NamedValue>{{"x", ramp({})}}, options), Error);
    ended = true;
  });
  auto is_busy = [](const auto& call) {
    try {
      call();
    } catch (const Error& e) {
      return e.code() == Code::kBusy;
    }
    return false;
  };
  while (!ended && !is_busy([&] { session.memory(); })) std::this_thread::yield();
  EXPECT_TRUE(is_busy([&] { session.run(std::vector<NamedValue>{{"x", ramp({})}}); }));
  EXPECT_TRUE(is_busy([&] { session.describe_plan({}); }));
  EXPECT_TRUE(is_busy([&] { session.profile(true); }));
  EXPECT_TRUE(is_busy([&] { session.profile(); }));
  EXPECT_TRUE(is_busy([&] { session.trim(); }));
  cancel.cancel();
  runner.join();
  EXPECT_NO_THROW(session.trim());
}

#ifndef TREADLE_THREAD_SANITIZED  // which ends a child that starts threads
TEST(Session, AChildForkedAfterAParallelRunCanRun) {
  Graph g;
  Builder b(g);
  const ValueId x = g.add_input("x", floats({1, 64, 56, 56}));
  g.add_output("y", b.op("Conv", {x, b.constant(ramp({64, 64, 3, 3}))}));
  const auto model = Model::create(std::move(g), raw());
  Session session(model, {2});
  const std::vector<Value> in{ramp({1, 64, 56, 56})};
  std::vector<Value> out(1);
  session.run_into(in, out);
  const pid_t child = fork();
  if (child == 0) {
    alarm(20);
    session.run_into(in, out);
    _exit(0);
  }
  session.run_into(in, out);
  int status = 1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}
#endif

TEST(Session, FallbackIsRefusedOnRequest) {
  Graph g;
  Builder b(g);
  const ValueId x = g.add_input("x", Type::tensor(DType::kDouble, Shape{4, 4}));
  g.add_output("y", b.op("CumSum", {x, b.scalar(DType::kInt64, 0)}));
  ModelOptions options = raw();
  options.fallback = false;
  Session session(Model::create(std::move(g), options), {1});
  try {
    session.run(std::vector<NamedValue>{{"x", Tensor::zeros(DType::kDouble, {4, 4})}});
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), Code::kUnsupported);
    EXPECT_NE(std::string(e.what()).find("CumSum"), std::string::npos);
  }
}

TEST(Session, TheLimitOfBuffersIsKept) {
  ModelOptions options = raw();
  options.max_bytes = 1000;
  Graph g;
  Builder b(g);
  const ValueId x = g.add_input("x", floats({Dim::symbol("N")}));
  const ValueId kept = b.op("Relu", {x});
  g.add_output("y", b.op("Sub", {b.op("Softmax", {kept}), kept}));
  Session session(Model::create(std::move(g), options), {1});
  EXPECT_NO_THROW(session.run(std::vector<NamedValue>{{"x", ramp({10})}}));
  EXPECT_THROW(session.run(std::vector<NamedValue>{{"x", ramp({100000})}}), Error);
  EXPECT_NO_THROW(session.run(std::vector<NamedValue>{{"x", ramp({10})}}));
}

}  // namespace
}  // namespace treadle

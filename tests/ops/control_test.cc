// If, Loop, Scan, sequences and optionals: whole graphs in the text form.
#include "graph/ops/op.h"
#include "graph/text.h"
#include "tests/ops/runner.h"
#include "tests/support/ways.h"

namespace treadle::test {
namespace {

void expect_graph(const std::string& text, const std::vector<Value>& inputs,
                  const std::vector<Value>& want) {
  try {
    const Graph graph = parse(text);
    expect_same(evaluate(graph, inputs), want, {}, "reference");
    expect_same_everywhere(graph, inputs, want);
  } catch (const Error& e) {
    ADD_FAILURE() << e.what();
  }
}

void expect_error(const std::string& text, const std::vector<Value>& inputs,
                  const std::string& part) {
  try {
    evaluate(parse(text), inputs);
    ADD_FAILURE() << "no error, expected: " << part;
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find(part), std::string::npos) << e.what();
  }
}

constexpr const char* kIf = R"(g (bool c, float[2] x) => (float[2] y) {
  y = If (c) <
    then_branch = a () => (float[2] t) { t = Identity (x) },
    else_branch = b () => (float[2] e) { e = Add (x, x) }>
})";

TEST(If, TakesEitherBranch) {
  const Tensor x = f32({2}, {1, 2});
  expect_graph(kIf, {bools({}, {true}), x}, {x});
  expect_graph(kIf, {bools({}, {false}), x}, {f32({2}, {2, 4})});
}

// As exporters write torch.squeeze: the branch that would be wrong is not taken.
TEST(If, ToleratesABranchThatCannotRun) {
  expect_graph(R"(g (bool c, float[2] x) => (float[2] y)
    <int64[1] zero = {0}>
  {
    y = If (c) <
      then_branch = a () => (t) { t = Squeeze (x, zero) },
      else_branch = b () => (e) { e = Identity (x) }>
  })",
               {bools({}, {false}), f32({2}, {1, 2})}, {f32({2}, {1, 2})});
}

// Sums 0, 1, 2 … into the state and collects it.
constexpr const char* kLoop = R"(g (int64 n, bool go, float s) => (float last, float[m] all) {
  last, all = Loop (n, go, s) <
    body = b (int64 i, bool going, float state) => (bool on, float next, float seen) {
      on = Identity (going)
      step = Cast <to = 1> (i)
      next = Add (state, step)
      seen = Identity (next)
    }>
})";

TEST(Loop, CarriesAndCollects) {
  const Tensor s = f32({}, {10});
  expect_graph(kLoop, {i64({}, {4}), bools({}, {true}), s},
               {f32({}, {16}), f32({4}, {10, 11, 13, 16})});
  expect_graph(kLoop, {i64({}, {0}), bools({}, {true}), s}, {s, f32({0}, {})});
  expect_graph(kLoop, {i64({}, {4}), bools({}, {false}), s}, {s, f32({0}, {})});
}

TEST(Loop, EndsByItsCondition) {
  expect_graph(R"(g (int64 x, int64 limit) => (int64 y)
    <int64 one = {1}>
  {
    go = Less (x, limit)
    y = Loop ("", go, x) <
      body = b (int64 i, bool going, int64 v) => (bool on, int64 next) {
        next = Add (v, one)
        on = Less (next, limit)
      }>
  })",
               {i64({}, {3}), i64({}, {7})}, {i64({}, {7})});
}

TEST(Loop, NamesACountThatIsNone) {
  expect_error(R"(g (int64[0] n, float x) => (float y) {
    y = Loop (n, "", x) <
      body = b (int64 i, bool going, float v) => (bool on, float next) {
        on = Identity (going)
        next = Identity (v)
      }>
  })",
               {i64({0}, {}), f32({}, {1})}, "input 'M' has 0 elements, expected 1");
}

TEST(Loop, IsPolled) {
  const Graph graph = parse(kLoop);
  int polls = 0;
  const RunControl control{.check = [&] { ++polls; }};
  evaluate(graph, {i64({}, {5}), bools({}, {true}), f32({}, {0})}, &control);
  EXPECT_GE(polls, 5);
}

TEST(Loop, GrowsAShape) {
  expect_graph(R"(g (int64 n, float[k] x) => (float[m] y) {
    y = Loop (n, "", x) <
      body = b (int64 i, bool going, float[a] v) => (bool on, float[c] next) {
        on = Identity (going)
        next = Concat <axis = 0> (v, v)
      }>
  })",
               {i64({}, {2}), f32({1}, {3})}, {f32({4}, {3, 3, 3, 3})});
}

TEST(Scan, WalksBackwardsAndStacksOnAnAxis) {
  expect_graph(R"(g (float s, float[3, 2] x) => (float last, float[2, 3] sums) {
    last, sums = Scan (s, x) <
      num_scan_inputs = 1, scan_input_directions = [1], scan_output_axes = [1],
      body = b (float state, float[2] row) => (float next, float[2] out) {
        total = ReduceSum <keepdims = 0> (row)
        next = Add (state, total)
        out = Add (row, state)
      }>
  })",
               {f32({}, {0}), f32({3, 2}, {1, 2, 3, 4, 5, 6})},
               {f32({}, {21}), f32({2, 3}, {5, 14, 19, 6, 15, 20})});
}

TEST(Scan, OfNothingKeepsTheShape) {
  expect_graph(R"(g (float[n] s, float[t, n] x) => (float[n] last, float[t, n, 2] pairs) {
    last, pairs = Scan (s, x) <
      num_scan_inputs = 1,
      body = b (float[] state, float[] row) => (float[] next, float[] out) <int64[1] axis = {-1}> {
        next = Add (state, row)
        column = Unsqueeze (next, axis)
        out = Concat <axis = -1> (column, column)
      }>
  })",
               {f32({3}, {1, 2, 3}), f32({0, 3}, {})}, {f32({3}, {1, 2, 3}), f32({0, 3, 2}, {})});
}

TEST(Loop, OfNothingKeepsTheShape) {
  expect_graph(R"(g (int64 n, float[2, k] x) => (float[2, k] last, float[m, 2, k] all) {
    last, all = Loop (n, "", x) <
      body = b (int64 i, bool going, float[] v) => (bool on, float[] next, float[] scan) {
        on = Identity (going)
        next = Add (v, v)
        scan = Neg (next)
      }>
  })",
               {i64({}, {0}), f32({2, 1}, {3, 4})}, {f32({2, 1}, {3, 4}), f32({0, 2, 1}, {})});
}

TEST(Sequences, AreBuiltReadAndJoined) {
  expect_graph(
      R"(g (float[1] a, float[2] b, int64 at) => (float[n] joined, float[m] one, int64 count) {
    s = SequenceConstruct (a, b)
    t = SequenceInsert (s, b, at)
    joined = ConcatFromSequence <axis = 0> (t)
    one = SequenceAt (t, at)
    u = SequenceErase (t)
    count = SequenceLength (u)
  })",
      {f32({1}, {1}), f32({2}, {2, 3}), i64({}, {0})},
      {f32({5}, {2, 3, 1, 2, 3}), f32({2}, {2, 3}), i64({}, {2})});
}

TEST(Sequences, AreCollectedInALoop) {
  expect_graph(R"(g (int64 n, float[2] x) => (float[k] y) {
    empty = SequenceEmpty ()
    s = Loop (n, "", empty) <
      body = b (int64 i, bool going, seq(float[2]) v) => (bool on, seq(float[2]) next) {
        on = Identity (going)
        f = Cast <to = 1> (i)
        e = Add (x, f)
        next = SequenceInsert (v, e)
      }>
    y = ConcatFromSequence <axis = 0> (s)
  })",
               {i64({}, {3}), f32({2}, {1, 2})}, {f32({6}, {1, 2, 2, 3, 3, 4})});
}

TEST(Sequences, NameABadPosition) {
  expect_error(R"(g (float[1] a, int64 at) => (float[1] y) {
    s = SequenceConstruct (a)
    y = SequenceAt (s, at)
  })",
               {f32({1}, {1}), i64({}, {1})}, "index 1 is out of range: expected -1 to 0");
  expect_error(R"(g (float[1] a, int64[0] at) => (float[1] y) {
    s = SequenceConstruct (a)
    t = SequenceInsert (s, a, at)
    y = SequenceAt (t, at)
  })",
               {f32({1}, {1}), i64({0}, {})}, "input 'position' has 0 elements, expected 1");
}

std::vector<OpCase> cases() {
  const Tensor row = counting(DType::kFloat, {5});
  return {
      {.name = "chunks",
       .op = "SplitToSequence",
       .inputs = {row, i64({}, {2})},
       .want = {sequence({f32({2}, {0, 1}), f32({2}, {2, 3}), f32({1}, {4})})}},
      {.name = "sizes",
       .op = "SplitToSequence",
       .inputs = {row, axes({4, 1})},
       .want = {sequence({f32({4}, {0, 1, 2, 3}), f32({1}, {4})})}},
      {.name = "drop_axis",
       .op = "SplitToSequence",
       .attributes = {{"keepdims", int64_t{0}}},
       .inputs = {f32({2}, {1, 2})},
       .want = {sequence({f32({}, {1}), f32({}, {2})})}},
      {.name = "sum",
       .op = "SplitToSequence",
       .inputs = {row, axes({4})},
       .error = "add up to 4, expected 5"},
      {.name = "zero",
       .op = "SplitToSequence",
       .inputs = {row, i64({}, {0})},
       .error = "'split' is 0"},
      {.name = "billions",
       .op = "SplitToSequence",
       .inputs = {f32({99999999999, 0}, {})},
       .error = "a sequence of 99999999999 parts"},
      {.name = "new_axis",
       .op = "ConcatFromSequence",
       .attributes = {{"axis", int64_t{1}}, {"new_axis", int64_t{1}}},
       .inputs = {sequence({f32({2}, {1, 2}), f32({2}, {3, 4})})},
       .want = {f32({2, 2}, {1, 3, 2, 4})}},
      {.name = "empty",
       .op = "ConcatFromSequence",
       .attributes = {{"axis", int64_t{0}}},
       .inputs = {sequence({})},
       .error = "empty sequence"},
      {.name = "tensor",
       .op = "Optional",
       .inputs = {f32({1}, {1})},
       .want = {optional_of(f32({1}, {1}))}},
      {.name = "full",
       .op = "OptionalHasElement",
       .inputs = {optional_of(f32({1}, {1}))},
       .want = {bools({}, {true})}},
      {.name = "none",
       .op = "OptionalHasElement",
       .inputs = {empty_optional()},
       .want = {bools({}, {false})}},
      {.name = "of_full",
       .op = "OptionalGetElement",
       .inputs = {optional_of(f32({1}, {1}))},
       .want = {f32({1}, {1})}},
      {.name = "of_none",
       .op = "OptionalGetElement",
       .inputs = {empty_optional()},
       .error = "the optional is empty"},
      {.name = "concat",
       .op = "StringConcat",
       .inputs = {text({2}, {"a", "b"}), text({}, {"c"})},
       .want = {text({2}, {"ac", "bc"})}},
      {.name = "spaces",
       .op = "StringSplit",
       .inputs = {text({2}, {" a  b ", ""})},
       .want = {text({2, 2}, {"a", "b", "", ""}), i64({2}, {2, 0})}},
      {.name = "limit",
       .op = "StringSplit",
       .attributes = {{"delimiter", std::string(",")}, {"maxsplit", int64_t{1}}},
       .inputs = {text({1}, {"a,,b"})},
       .want = {text({1, 2}, {"a", ",b"}), i64({1}, {2})}},
      {.name = "upper",
       .op = "StringNormalizer",
       .attributes = {{"case_change_action", std::string("UPPER")},
                      {"stopwords", std::vector<std::string>{"B"}}},
       .inputs = {text({3}, {"a", "b", "\xC3\xA9"})},
       .want = {text({2}, {"A", "\xC3\x89"})}},
      {.name = "all_stopped",
       .op = "StringNormalizer",
       .attributes = {{"stopwords", std::vector<std::string>{"a"}}},
       .inputs = {text({1, 1}, {"a"})},
       .want = {text({1, 1}, {""})}},
  };
}

INSTANTIATE_TEST_SUITE_P(Sequence, OpTest, testing::ValuesIn(cases()), case_name);

}  // namespace
}  // namespace treadle::test

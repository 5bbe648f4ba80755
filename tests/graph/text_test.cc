// The text form: what prints reads back the same, and errors name their place.
#include "graph/text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "graph/ops/op.h"
#include "tests/paths.h"

namespace treadle {
namespace {

using testing::HasSubstr;

void expect_round_trip(const std::string& text, PrintOptions options = {}) {
  const std::string once = print(parse(text), options);
  EXPECT_EQ(once, text);
  EXPECT_EQ(print(parse(once), options), once);
}

std::string error_of(const std::string& text) {
  try {
    parse(text);
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

TEST(Text, RoundTripsNodesAndNames) {
  expect_round_trip(R"(net (float[N, 3] x, int64[] "a/b.c", float s) => (float[N, 3] y)
{
  ["first node"] "t:0" = Identity (x)
  y = Identity ("t:0")
}
)");
}

TEST(Text, RoundTripsConstantsOfEveryType) {
  expect_round_trip(R"(c (float x) => (float x_1)
<float[2, 2] f = {1, -0.5, 1e-30, inf},
 double d = {0.1},
 float16[2] h = {15360, 48128},
 bfloat16[1] b = {16256},
 int4[3] i4 = {-8, 7, 1},
 uint2[5] u2 = {0, 1, 2, 3, 1},
 float8e4m3fn[2] f8 = {56, 255},
 bool[2] t = {0, 1},
 uint64 u = {18446744073709551615},
 int64[0] none = {},
 complex64[2] z = {1, 2, 3, nan},
 string[2] s = {"a\"b", "\\"}>
{
  f_1 = Identity (f)
  d_1 = Identity (d)
  h_1 = Identity (h)
  b_1 = Identity (b)
  i_1 = Identity (i4)
  u_1 = Identity (u2)
  f8_1 = Identity (f8)
  t_1 = Identity (t)
  uu = Identity (u)
  n_1 = Identity (none)
  z_1 = Identity (z)
  s_1 = Identity (s)
  x_1 = Identity (x)
}
)");
}

TEST(Text, RoundTripsTypes) {
  expect_round_trip(
      R"(t (float[N, ?, "2*N + 1"] a, seq(float[]) b, optional(seq(int64[2])) c, map(string, float[]) d, e) => (float[N, ?, "2*N + 1"] y)
{
  y = Identity (a)
}
)");
}

TEST(Text, SubgraphsNameOuterValues) {
  const std::string text = R"(g (float[2] x, bool c, bool d) => (float[2] y)
<float[2] w = {1, 2}>
{
  y = If <
    then_branch = then_branch () => (float[2] a)
    {
      a = If <
        then_branch = then_branch () => (float[2] p)
        {
          p = Add (x, w)
        },
        else_branch = else_branch () => (float[2] q)
        {
          q = Neg (w)
        }> (d)
    },
    else_branch = else_branch () => (float[2] b)
    {
      b = Sub (x, w)
    }> (c)
}
)";
  expect_round_trip(text);
  const Graph g = parse(text);
  const Node& outer = g.node(g.topological_order()[0]);
  EXPECT_EQ(outer.subgraphs[0].captures.size(),
            3u);  // d, x and w, though the inner bodies read them
  EXPECT_EQ(outer.subgraphs[1].captures.size(), 2u);
  std::string deep = "g (bool c, float x) => (float y) { y = ";
  for (int i = 0; i < 100; ++i) deep += "If <then_branch = t () => (float y) { y = ";
  EXPECT_THAT(error_of(deep), HasSubstr("nested deeper than 32"));
}

TEST(Text, HeaderCarriesOpsetsAndMetadata) {
  PrintOptions options;
  options.header = true;
  expect_round_trip(
      cat(R"(<ir_version: 13, opset_import: ["" : )", kOpset,
          R"(], doc_string: "a \"doc\"", producer_name: "me", metadata_props: ["k" : "v", "l" : "w"]>
t (float x) => (float y)
{
  y = Identity (x)
}
)"),
      options);
}

TEST(Text, DeclaredRankCountsWhereInferenceHasNone) {
  Graph g = parse(R"(g (float[N] x, int64[K] shape) => (float[?, ?] y, float[?] z) {
  y = Reshape (x, shape)
  z = Relu (x)
})");
  annotate(g);
  EXPECT_THAT(print(g), HasSubstr("(float[?, ?] y, float[N] z)"));
}

TEST(Text, OutputThatIsAnInputOrSharedBecomesIdentity) {
  Graph g;
  const ValueId x = g.add_input("x", Type::tensor(DType::kFloat, Shape{2}));
  g.add_output("y", x);
  g.add_output("z", x);
  EXPECT_THAT(print(g), HasSubstr("y = Identity (x)\n  z = Identity (x)\n"));
  EXPECT_EQ(parse(print(g)).outputs().size(), 2u);
}

TEST(Text, LongConstantsAreAbbreviatedOnRequest) {
  Graph g;
  g.add_output("w", g.add_constant("w", Tensor::zeros(DType::kFloat, {100})));
  PrintOptions options;
  options.max_elements = 8;
  EXPECT_THAT(print(g, options), HasSubstr("float[100] w = {...}"));
}

TEST(Text, ErrorsNameTheirPlace) {
  EXPECT_THAT(error_of("g (float x) => (float y) {\n  y = Identity (z)\n}"),
              HasSubstr("line 2, column 17: nothing before this defines 'z'"));
  EXPECT_THAT(error_of("g (float x) => (float y) {\n  y = Nonsense (x)\n}"),
              HasSubstr("line 2, column 7: unknown operator 'Nonsense'"));
  EXPECT_THAT(error_of("g (float x) => (float y) {\n  y = Identity <to = 1> (x)\n}"),
              HasSubstr("line 2, column 3: a node of Identity has the unknown attribute 'to'"));
  EXPECT_THAT(error_of("g (float x) = (float y) {}"), HasSubstr("expected '>', found '('"));
  EXPECT_THAT(error_of("g (float x"), HasSubstr("expected ')', found the end"));
  EXPECT_THAT(error_of("g (float x) => (float x) <float[2] w = {1}> {}"),
              HasSubstr("line 1, column 40: 1 elements for float[2]"));
  EXPECT_THAT(error_of("g (float x) => (float x) <int8 w = {300}> {}"), HasSubstr("does not fit"));
  EXPECT_THAT(error_of("g (float x, float x) => (float x) {}"), HasSubstr("two values are named"));
  EXPECT_THAT(error_of("g (\"abc"), HasSubstr("the string has no end"));
  EXPECT_THAT(error_of("<opset_import: [\"\" : 7]> g () => () {}"), HasSubstr("opset 7"));
  EXPECT_THAT(error_of("g (float[99999999999999999999] x) => () {}"), HasSubstr("64 bits"));
  EXPECT_THAT(error_of("g (float[9223372036854775807, 4] x = {1}) => () {}"),
              HasSubstr("overflows"));
  std::string deep;
  for (int i = 0; i < 1000; ++i) deep += "seq(";
  EXPECT_THAT(error_of("g (" + deep), HasSubstr("nested deeper than"));
}

// Every truncation and every changed byte of a text either reads or fails cleanly.
TEST(Text, SurvivesDamage) {
  const std::string text =
      R"(<ir_version: 13> g (float[N, 2] x) => (float[N, 2] y) <float[2] w = {1, -2e3}, float[N] t> {
  [n] "a b" = Identity (x) # comment
  y = Identity ("a b")
})";
  for (size_t i = 0; i < text.size(); ++i) {
    error_of(text.substr(0, i));
    for (char c : {'(', '}', '"', '0', '\\', '\0', '\xff'}) {
      std::string damaged = text;
      damaged[i] = c;
      error_of(damaged);
    }
  }
}

TEST(Text, PythonReadsIt) {
  const std::string python = test::python_path();
  if (python.empty() ||
      std::system((python + " -c 'import onnx.parser' 2>/dev/null").c_str()) != 0) {
    GTEST_SKIP() << "no Python with the package onnx";
  }
  const Graph g = parse(R"("a graph" (float[N, "2*N"] x, seq(float[]) q) => (float[N, "2*N"] y)
<float[2] w = {1, inf}, float16[1] h = {15360}, bool[2] b = {0, 1}, string s = {"q\"\\"}, int64[0] e = {}> {
  ["node/1"] v = Identity (w)
  hh = Identity (h)
  bb = Identity (b)
  ss = Identity (s)
  ee = Identity (e)
  y = Identity (x)
})");
  PrintOptions options;
  options.header = true;
  options.types = true;
  const auto path = std::filesystem::temp_directory_path() / cat("treadle_text_", getpid(), ".txt");
  std::ofstream(path) << print(g, options);
  const std::string command =
      python +
      " -c 'import onnx, sys; m = onnx.parser.parse_model(open(sys.argv[1]).read());"
      " onnx.checker.check_model(m); assert len(m.graph.node) == 6' " +
      path.string();
  EXPECT_EQ(std::system(command.c_str()), 0);
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace treadle

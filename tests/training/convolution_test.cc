// Gradients of convolutions and pools.
#include <gtest/gtest.h>

#include "graph/text.h"
#include "tests/support/gradcheck.h"
#include "tests/support/tensors.h"

namespace treadle::test {
namespace {

const Gradcheck kTwice{.order = 2};

void check(const std::string& signature, const std::string& node, const Gradcheck& how = kTwice) {
  expect_gradients("f (" + signature + ") => (y) { y = " + node + " }", how);
}

TEST(Gradients, ConvOfAnyRank) {
  check("double[2, 3, 5] x, double[4, 3, 2] w, double[4] b", "Conv (x, w, b)");
  check("double[2, 2, 4, 5] x, double[3, 2, 3, 2] w, double[3] b", "Conv (x, w, b)");
  check("double[1, 2, 3, 4, 3] x, double[2, 2, 2, 2, 2] w", "Conv (x, w)");
  check("double[0, 2, 4, 4] x, double[3, 2, 3, 3] w, double[3] b", "Conv (x, w, b)");
}

TEST(Traps, Trap8ConvGroupDilationPadsAndUnusedRows) {
  check("double[2, 4, 6] x, double[6, 2, 2] w, double[6] b",
        "Conv <group = 2, dilations = [2], pads = [1, 0]> (x, w, b)");
  check("double[1, 2, 7, 6] x, double[2, 2, 2, 3] w",
        "Conv <strides = [2, 3], pads = [0, 1, 0, 0]> (x, w)");
  check("double[2, 3, 6, 6] x, double[3, 1, 3, 3] w",
        "Conv <group = 3, strides = [2, 2], pads = [1, 0, 2, 1]> (x, w)");
  check("double[1, 4, 5, 7] x, double[2, 2, 2, 2] w",
        "Conv <group = 2, strides = [3, 2], dilations = [1, 3]> (x, w)");
}

TEST(Gradients, ConvAutoPad) {
  for (const char* pad : {"SAME_UPPER", "SAME_LOWER", "VALID"}) {
    check("double[1, 2, 5, 6] x, double[3, 2, 2, 3] w",
          cat("Conv <auto_pad = \"", pad, "\", strides = [2, 2]> (x, w)"));
  }
}

// The rows that the stride leaves over.
TEST(Gradients, ConvWhereNoWindowReachesIsZero) {
  const Graph g = parse(
      "f (double[1, 1, 4] x) => (double[1, 1, 1] y) <double[1, 1, 2] w = {2, 3}> { y = Conv "
      "<strides = [3]> (x, w) }");
  EXPECT_EQ(
      difference(gradients_at(g, {f64({1, 1, 4}, {1, 1, 1, 1})})[0], f64({1, 1, 4}, {2, 3, 0, 0})),
      "");
}

TEST(Gradients, ConvTranspose) {
  check("double[2, 3, 4] x, double[3, 2, 3] w, double[2] b", "ConvTranspose (x, w, b)");
  check("double[1, 2, 3, 4] x, double[2, 2, 2, 3] w",
        "ConvTranspose <strides = [2, 3], pads = [1, 0, 0, 2]> (x, w)");
  check("double[1, 4, 3] x, double[4, 2, 2] w, double[4] b",
        "ConvTranspose <group = 2, dilations = [2], strides = [2]> (x, w, b)");
  check("double[1, 1, 2, 2, 3] x, double[1, 2, 2, 1, 2] w", "ConvTranspose (x, w)");
}

TEST(Traps, Trap8ConvTransposeOutputPaddingAndShape) {
  check("double[1, 2, 3] x, double[2, 1, 2] w",
        "ConvTranspose <strides = [3], output_padding = [2]> (x, w)");
  check("double[1, 2, 3] x, double[2, 1, 2] w",
        "ConvTranspose <strides = [2], dilations = [3], output_padding = [2]> (x, w)");
  check("double[1, 2, 3] x, double[2, 1, 3] w",
        "ConvTranspose <strides = [2], pads = [1, 1], output_padding = [1]> (x, w)");
  const auto check_known = [](const char* node) {
    const Graph g = parse(
        cat("f (double[1, 2, 3, 3] x, double[2, 1, 3, 2] w) => (y) { y = ", node, " (x, w) }"));
    EXPECT_EQ(gradcheck(g,
                        {random_tensor(DType::kDouble, {1, 2, 3, 3}, 1),
                         random_tensor(DType::kDouble, {2, 1, 3, 2}, 2)},
                        kTwice),
              "")
        << node;
  };
  check_known("ConvTranspose <strides = [2, 2], output_shape = [6, 5]>");
  check_known("ConvTranspose <strides = [2, 2], output_shape = [9, 9]>");
  check_known("ConvTranspose <strides = [3, 2], auto_pad = \"SAME_UPPER\">");
  check_known("ConvTranspose <strides = [3, 2], auto_pad = \"SAME_LOWER\">");
}

// ---- Pools

TEST(Gradients, MaxPool) {
  check("double[2, 2, 5] x", "MaxPool <kernel_shape = [2]> (x)");
  check("double[1, 2, 6, 5] x", "MaxPool <kernel_shape = [3, 2], strides = [2, 2]> (x)");
  check("double[1, 2, 6, 5] x",
        "MaxPool <kernel_shape = [2, 2], dilations = [2, 1], pads = [1, 0, 1, 1]> (x)");
  check("double[1, 1, 4, 3, 4] x", "MaxPool <kernel_shape = [2, 2, 2], strides = [2, 1, 2]> (x)");
  check("double[0, 2, 4, 4] x", "MaxPool <kernel_shape = [2, 2]> (x)");
}

// Windows that overhang, padding that follows from the sizes, and how Indices are counted.
TEST(Traps, Trap7MaxPoolCeilSameStorageOrderAndIndices) {
  check("double[1, 2, 5, 6] x",
        "MaxPool <kernel_shape = [3, 3], strides = [2, 2], ceil_mode = 1> (x)");
  for (const char* pad : {"SAME_UPPER", "SAME_LOWER", "VALID"}) {
    check("double[1, 2, 5, 6] x", cat("MaxPool <kernel_shape = [2, 3], strides = [2, 2], "
                                      "auto_pad = \"",
                                      pad, "\"> (x)"));
  }
  for (int order = 0; order < 2; ++order) {
    expect_gradients(cat("f (double[1, 2, 5, 4] x) => (y, i) { y, i = MaxPool <kernel_shape = [2, "
                         "2], storage_order = ",
                         order, "> (x) }"),
                     kTwice);
  }
}

TEST(Kinks, MaxPoolGoesToTheFirstOfEquals) {
  const Graph g = parse(
      "f (double[1, 1, 3] x) => (double[1, 1, 2] y) { y = MaxPool <kernel_shape = [2]> (x) }");
  EXPECT_EQ(difference(gradients_at(g, {f64({1, 1, 3}, {1, 1, 1})})[0], f64({1, 1, 3}, {1, 1, 0})),
            "");
  const Graph all =
      parse("f (double[1, 1, 2, 2] x) => (double[1, 1, 1, 1] y) { y = GlobalMaxPool (x) }");
  EXPECT_EQ(difference(gradients_at(all, {f64({1, 1, 2, 2}, {0, 3, 3, 1})})[0],
                       f64({1, 1, 2, 2}, {0, 1, 0, 0})),
            "");
}

TEST(Traps, Trap7AveragePoolCountsPadsAndCeil) {
  check("double[1, 2, 5] x", "AveragePool <kernel_shape = [2]> (x)");
  for (int include = 0; include < 2; ++include) {
    for (int ceil = 0; ceil < 2; ++ceil) {
      check("double[2, 2, 6, 5] x",
            cat("AveragePool <kernel_shape = [3, 2], strides = [2, 2], pads = [1, 0, 1, 1], "
                "ceil_mode = ",
                ceil, ", count_include_pad = ", include, "> (x)"));
    }
  }
  check("double[1, 2, 7, 5] x", "AveragePool <kernel_shape = [2, 2], dilations = [3, 2]> (x)");
  check("double[1, 2, 5, 6] x",
        "AveragePool <kernel_shape = [2, 3], strides = [2, 2], auto_pad = \"SAME_LOWER\"> (x)");
  check("double[1, 1, 3, 4, 3] x", "AveragePool <kernel_shape = [2, 2, 2]> (x)");
  check("double[0, 2, 4, 4] x", "AveragePool <kernel_shape = [2, 2]> (x)");
}

TEST(Gradients, LpPool) {
  for (int p = 1; p <= 3; ++p) {
    check("double[1, 2, 5, 6] x", cat("LpPool <kernel_shape = [2, 3], strides = [2, 1], pads = [1, "
                                      "0, 0, 1], ceil_mode = 1, p = ",
                                      p, "> (x)"));
    check("double[2, 3, 4, 2] x", cat("GlobalLpPool <p = ", p, "> (x)"));
  }
  const Graph g =
      parse("f (double[1, 1, 2] x) => (double[1, 1, 1] y) { y = LpPool <kernel_shape = [2]> (x) }");
  EXPECT_EQ(difference(gradients_at(g, {f64({1, 1, 2}, {0, 0})})[0], f64({1, 1, 2}, {0, 0})), "");
}

TEST(Gradients, GlobalPools) {
  for (const char* kind : {"GlobalAveragePool", "GlobalMaxPool"}) {
    check("double[2, 3, 4] x", cat(kind, " (x)"));
    check("double[2, 3, 4, 2] x", cat(kind, " (x)"));
    check("double[0, 3, 4, 2] x", cat(kind, " (x)"));
  }
}

TEST(Gradients, MaxUnpool) {
  expect_gradients(
      "f (double[1, 1, 2, 2] x) => (y) <int64[1, 1, 2, 2] i = {5, 7, 13, 15}> { y = MaxUnpool "
      "<kernel_shape = [2, 2], strides = [2, 2]> (x, i) }",
      kTwice);
  expect_gradients(
      "f (double[1, 1, 2, 2] x) => (y) <int64[1, 1, 2, 2] i = {5, 7, 13, 15}, int64[4] s = {1, 1, "
      "5, 5}> { y = MaxUnpool <kernel_shape = [2, 2], strides = [2, 2]> (x, i, s) }",
      kTwice);
}

}  // namespace
}  // namespace treadle::test

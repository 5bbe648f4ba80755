// Gradients of RNN, GRU and LSTM, and of the attention family.
#include <gtest/gtest.h>

#include "graph/text.h"
#include "tests/support/gradcheck.h"

namespace treadle::test {
namespace {

const Gradcheck kTwice{.order = 2};

struct Family {
  const char* kind;
  int gates;
};

// x [3, 2, 2], hidden size 2.
std::string recurrent(const Family& f, int directions, const std::string& attributes,
                      const std::string& lengths) {
  const bool lstm = f.gates == 4;
  auto dims = [&](int rows, int columns) {
    return cat("double[", directions, ", ", rows, ", ", columns, "]");
  };
  return cat("f (double[3, 2, 2] x, ", dims(2 * f.gates, 2), " w, ", dims(2 * f.gates, 2),
             " r, double[", directions, ", ", 4 * f.gates, "] b, ", dims(2, 2), " h",
             lstm ? cat(", ", dims(2, 2), " c, double[", directions, ", 6] p") : "",
             ") => (y, last", lstm ? ", cell" : "", ") <int32[2] n = ", lengths, "> { y, last",
             lstm ? ", cell" : "", " = ", f.kind, " <hidden_size = 2", attributes,
             "> (x, w, r, b, n, h", lstm ? ", c, p" : "", ") }");
}

TEST(RecurrentGradient, DirectionsLengthsPeepholesAndStates) {
  for (const Family& f : {Family{"RNN", 1}, Family{"GRU", 3}, Family{"LSTM", 4}}) {
    expect_gradients(recurrent(f, 1, "", "{3, 3}"), kTwice);
    expect_gradients(recurrent(f, 1, ", direction = \"reverse\"", "{3, 2}"));
    expect_gradients(recurrent(f, 2, ", direction = \"bidirectional\"", "{1, 3}"));
    expect_gradients(recurrent(f, 1, ", clip = 0.5", "{3, 3}"));
  }
  expect_gradients(recurrent({"GRU", 3}, 1, ", linear_before_reset = 1", "{3, 3}"), kTwice);
  expect_gradients(recurrent({"LSTM", 4}, 1, ", input_forget = 1", "{3, 3}"), kTwice);
  expect_gradients(recurrent(
      {"LSTM", 4}, 1, ", activations = [\"HardSigmoid\", \"Softsign\", \"ScaledTanh\"]", "{3, 3}"));
}

TEST(RecurrentGradient, WithoutOptionalInputs) {
  expect_gradients(
      "f (double[2, 3, 2] x, double[1, 8, 2] w, double[1, 8, 2] r) => (y, h, c) { y, h, c = LSTM "
      "<hidden_size = 2, direction = \"reverse\"> (x, w, r) }");
  expect_gradients(
      "f (double[3, 2, 2] x, double[1, 6, 2] w, double[1, 6, 2] r) => (y, h) { y, h = GRU "
      "<hidden_size = 2, layout = 1> (x, w, r) }");
}

TEST(AttentionGradient, HeadsMasksWindowsAndPasts) {
  const char* plain = "f (double[1, 2, 3, 2] q, double[1, 2, 4, 2] k, double[1, 2, 4, 2] v";
  expect_gradients(std::string(plain) + ") => (y) { y = Attention (q, k, v) }", kTwice);
  expect_gradients(
      std::string(plain) + ") => (y) { y = Attention <is_causal = 1, softcap = 2.0> (q, k, v) }",
      kTwice);
  expect_gradients(std::string(plain) +
                   ", double[3, 4] m) => (y, a, b, s) { y, a, b, s = Attention "
                   "<qk_matmul_output_mode = 2> (q, k, v, m) }");
  expect_gradients(std::string(plain) +
                   ") => (y) <bool[3, 4] m = {1, 1, 0, 0, 0, 0, 0, 0, 1, 0, 1, 1}> { y = Attention "
                   "(q, k, v, m) }");
  expect_gradients(
      "f (double[1, 3, 8] q, double[1, 2, 4] k, double[1, 2, 4] v, double[1, 2, 2, 2] pk, "
      "double[1, 2, 2, 2] pv) => (y, k2, v2) { y, k2, v2 = Attention <q_num_heads = 4, "
      "kv_num_heads = 2, left_window_size = 2, right_window_size = 1> (q, k, v, \"\", pk, pv) }");
}

TEST(AttentionGradient, RotaryEmbeddings) {
  expect_gradients(
      "f (double[1, 2, 3, 4] x, double[5, 1] c, double[5, 1] s) => (y) <int64[1, 3] i = {4, 0, 1}> "
      "{ "
      "y = RotaryEmbedding <rotary_embedding_dim = 2> (x, c, s, i) }",
      kTwice);
  expect_gradients(
      "f (double[1, 3, 8] x, double[1, 3, 2] c, double[1, 3, 2] s) => (y) { y = RotaryEmbedding "
      "<num_heads = 2, interleaved = 1> (x, c, s) }",
      kTwice);
}

}  // namespace
}  // namespace treadle::test

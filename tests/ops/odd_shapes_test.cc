// Operators that several families of kernels compute, at shapes that no vector, tile or block divides;
// channels of whole panels too, which only some of them take.
#include "graph/ops/conv_params.h"
#include "tests/ops/runner.h"

namespace treadle::test {
namespace {

using Ints = std::vector<int64_t>;

Tensor random(const Dims& dims, uint64_t seed) { return random_tensor(DType::kFloat, dims, seed); }

OpCase loose(OpCase c) {
  c.rtol = c.atol = 1e-4;
  return c;
}

struct ConvCase {
  std::string name;
  Dims x;
  Dims w;
  Attributes attributes = {};
};

const Attributes kPads = {{"pads", Ints{1, 1, 1, 1}}};

std::vector<ConvCase> convolutions() {
  return {
      {"odd", {2, 17, 5, 7}, {33, 17, 3, 3}, kPads},
      {"panels", {1, 17, 5, 7}, {32, 17, 3, 3}, kPads},
      {"panels_of_many_tiles", {2, 33, 9, 6}, {64, 33, 3, 3}},
      {"panels_of_a_pixel", {2, 33, 1, 1}, {32, 33, 3, 3}, kPads},
      {"panels_of_a_row", {1, 32, 1, 9}, {96, 32, 3, 3}, {{"pads", Ints{2, 0, 1, 2}}}},
      {"panels_with_strides",
       {1, 32, 7, 9},
       {32, 32, 3, 3},
       {{"pads", Ints{1, 1, 1, 1}}, {"strides", Ints{2, 2}}}},
      {"windows_of_5", {1, 32, 5, 3}, {32, 32, 5, 5}, {{"pads", Ints{2, 2, 2, 2}}}},
      {"points", {2, 17, 3, 5}, {33, 17, 1, 1}},
      {"points_with_strides", {1, 33, 5, 5}, {17, 33, 1, 1}, {{"strides", Ints{2, 2}}}},
      {"many_points", {1, 64, 5, 7}, {96, 64, 1, 1}},
      {"a_pixel", {3, 33, 1, 1}, {65, 33, 1, 1}},
      {"dilations", {1, 17, 9, 8}, {33, 17, 3, 3}, {{"dilations", Ints{2, 3}}}},
      {"groups", {2, 34, 5, 4}, {34, 17, 3, 3}, {{"group", int64_t{2}}}},
      {"three_groups", {1, 33, 4, 6}, {66, 11, 3, 2}, {{"group", int64_t{3}}}},
      {"groups_within_a_vector",
       {2, 36, 5, 9},
       {36, 4, 3, 3},
       {{"group", int64_t{9}}, {"pads", Ints{1, 1, 1, 1}}}},
      {"depthwise",
       {2, 17, 7, 9},
       {17, 1, 3, 3},
       {{"group", int64_t{17}}, {"pads", Ints{1, 1, 1, 1}}}},
      {"depthwise_of_a_column",
       {1, 33, 9, 1},
       {33, 1, 5, 5},
       {{"group", int64_t{33}}, {"pads", Ints{2, 2, 2, 2}}, {"strides", Ints{2, 2}}}},
      {"line", {2, 17, 19}, {33, 17, 3}, {{"pads", Ints{1, 1}}}},
      {"volume", {1, 17, 3, 4, 5}, {9, 17, 2, 3, 3}},
  };
}

std::vector<OpCase> conv_cases() {
  std::vector<OpCase> cases;
  for (const ConvCase& c : convolutions()) {
    OpCase made{.name = "odd_shapes_" + c.name,
                .op = "Conv",
                .attributes = c.attributes,
                .inputs = {random(c.x, 1), random(c.w, 2), random({c.w[0]}, 3)}};
    cases.push_back(loose(made));
    const Dims y = conv_params(c.attributes, c.x, c.w).output_dims();
    made.op = "FusedConv";
    made.domain = "treadle";
    made.attributes.set("activation", "Swish");
    made.inputs.emplace_back(random(y, 4));
    cases.push_back(loose(made));
    made.attributes = c.attributes;
    made.op = "ConvGradInput";
    made.inputs = {random(y, 1), random(c.w, 2), axes(c.x)};
    cases.push_back(loose(made));
    made.op = "ConvGradWeights";
    made.inputs = {random(y, 1), random(c.x, 2), axes(c.w)};
    cases.push_back(loose(made));
  }
  for (const int64_t group : {1, 3}) {
    cases.push_back(loose({.name = cat("odd_shapes_", group),
                           .op = "ConvTranspose",
                           .attributes = {{"group", group}, {"strides", Ints{2, 1}}},
                           .inputs = {random({2, 33, 3, 5}, 1), random({33, 17, 3, 2}, 2),
                                      random({17 * group}, 3)}}));
  }
  return cases;
}

struct ProductCase {
  std::string name;
  Dims a;
  Dims b;
};

std::vector<OpCase> product_cases() {
  const ProductCase products[] = {
      {"odd", {13, 33}, {33, 65}},
      {"row", {1, 515}, {515, 33}},
      {"column", {17, 33}, {33, 1}},
      {"shallow", {33, 1}, {1, 17}},
      {"many_rows", {29, 70}, {70, 131}},
      {"batches", {3, 7, 33}, {3, 33, 19}},
      {"broadcast", {2, 1, 3, 17}, {5, 17, 33}},
      {"one_right_side", {3, 5, 17}, {17, 33}},
  };
  std::vector<OpCase> cases;
  for (const ProductCase& p : products) {
    OpCase made{
        .name = "odd_shapes_" + p.name, .op = "MatMul", .inputs = {random(p.a, 1), random(p.b, 2)}};
    cases.push_back(loose(made));
    made.inputs.emplace_back(random({p.b.back()}, 3));
    made.op = "FusedMatMul";
    made.domain = "treadle";
    made.attributes = {{"activation", "Gelu"}, {"alpha", 0.5f}};
    cases.push_back(loose(made));
    if (p.a.size() != 2) continue;
    made.op = "Gemm";
    made.domain = "";
    made.attributes = {{"alpha", 0.5f}};
    cases.push_back(loose(made));
    made.op = "FusedGemm";
    made.domain = "treadle";
    made.attributes = {{"activation", "Tanh"}};
    made.inputs.emplace_back(random({p.a[0], p.b[1]}, 4));
    cases.push_back(loose(made));
    for (const int64_t side : {1, 2, 3}) {
      const bool left = (side & 1) != 0, right = (side & 2) != 0;
      cases.push_back(loose({.name = cat("odd_shapes_", p.name, "_turned_", side),
                             .op = "Gemm",
                             .attributes = {{"transA", int64_t{left}}, {"transB", int64_t{right}}},
                             .inputs = {random(left ? Dims{p.a[1], p.a[0]} : p.a, 1),
                                        random(right ? Dims{p.b[1], p.b[0]} : p.b, 2)}}));
    }
  }
  return cases;
}

std::vector<OpCase> pool_cases() {
  std::vector<OpCase> cases;
  for (const Dims& x : {Dims{1, 17, 7, 5}, Dims{2, 33, 1, 1}, Dims{1, 33, 2, 19}, Dims{2, 17, 9},
                        Dims{1, 17, 3, 4, 5}}) {
    const size_t rank = x.size() - 2;
    const std::string name = cat("odd_shapes_", cases.size());
    const Attributes attributes = {
        {"kernel_shape", Ints(rank, 3)}, {"strides", Ints(rank, 2)}, {"pads", Ints(2 * rank, 1)}};
    for (const char* op : {"MaxPool", "AveragePool"})
      cases.push_back(
          loose({.name = name, .op = op, .attributes = attributes, .inputs = {random(x, 1)}}));
    const Dims y = pool_params(attributes, x).output_dims();
    for (const char* op : {"MaxPoolGrad", "AveragePoolGrad"})
      cases.push_back(loose({.name = name,
                             .op = op,
                             .domain = "treadle",
                             .attributes = attributes,
                             .inputs = {random(y, 1), random(x, 2)}}));
    for (const char* op : {"GlobalMaxPool", "GlobalAveragePool"})
      cases.push_back(loose({.name = name, .op = op, .inputs = {random(x, 1)}}));
    cases.push_back(loose({.name = name,
                           .op = "LRN",
                           .attributes = {{"size", int64_t{5}}},
                           .inputs = {random(x, 1)}}));
  }
  return cases;
}

std::vector<OpCase> recurrent_cases() {
  std::vector<OpCase> cases;
  constexpr int64_t kSteps = 5, kInputs = 7, kHidden = 17;
  for (const char* op : {"LSTM", "GRU"}) {
    const int64_t rows = (op == std::string("LSTM") ? 4 : 3) * kHidden;
    for (const int64_t batch : {1, 3, 9}) {
      cases.push_back(
          loose({.name = cat("odd_shapes_", batch),
                 .op = op,
                 .attributes = {{"direction", "bidirectional"}, {"hidden_size", kHidden}},
                 .inputs = {random({kSteps, batch, kInputs}, 1), random({2, rows, kInputs}, 2),
                            random({2, rows, kHidden}, 3), random({2, 2 * rows}, 4)},
                 .outputs = 2}));
    }
  }
  return cases;
}

INSTANTIATE_TEST_SUITE_P(OddConvolutions, OpTest, testing::ValuesIn(conv_cases()), case_name);
INSTANTIATE_TEST_SUITE_P(OddProducts, OpTest, testing::ValuesIn(product_cases()), case_name);
INSTANTIATE_TEST_SUITE_P(OddPools, OpTest, testing::ValuesIn(pool_cases()), case_name);
INSTANTIATE_TEST_SUITE_P(OddLayers, OpTest, testing::ValuesIn(recurrent_cases()), case_name);

}  // namespace
}  // namespace treadle::test

// Operators with kernels of the CPU backend at the edges of floats (NaN, infinities, both zeros,
// denormals) and of shapes (no elements, one element, vectors and what is left over, broadcasting).
// The reference's own values at these edges are literals in the families' tests.
#include <cmath>
#include <limits>

#include "graph/base/shape.h"
#include "tests/ops/runner.h"

namespace treadle::test {
namespace {

using Ints = std::vector<int64_t>;
constexpr float kInf = std::numeric_limits<float>::infinity();

// The edge values in turn, beginning with the `first`; more of them than any vector holds.
Tensor edges(const Dims& dims, size_t first = 0) {
  constexpr float kValues[] = {1,     -0.0f, kInf,   0,       -1.5f,   1e-40f, NAN,
                               -kInf, 100,   -1e-7f, 88.9f,   0.5f,    -90,    3,
                               -104,  2.5f,  -3.5f,  1e-3f,   -1e38f,  1e-20f, -8,
                               1e38f, -2,    7.9f,   -1e-40f, 3.4e38f, -0.25f};
  Tensor t(DType::kFloat, dims);
  size_t i = first;
  for (float& x : t.data<float>()) x = kValues[i++ % std::size(kValues)];
  return t;
}

// Finite but for one element.
Tensor with(const Dims& dims, float odd, size_t at) {
  Tensor t = random_tensor(DType::kFloat, dims, 7, -2, 2);
  t.data<float>()[at] = odd;
  return t;
}

void add(std::vector<OpCase>& cases, OpCase c) {
  c.name += cat("_", cases.size());
  cases.push_back(std::move(c));
}

const Dims kShapes[] = {{}, {0}, {3, 0, 2}, {1}, {7}, {8}, {9}, {3, 41}};

std::vector<OpCase> unary_cases() {
  std::vector<OpCase> cases;
  for (const char* op : {"Abs",         "Acos",      "Acosh",
                         "Asin",        "Asinh",     "Atan",
                         "Atanh",       "Ceil",      "Celu",
                         "Cos",         "Cosh",      "Elu",
                         "Erf",         "Exp",       "Floor",
                         "Gelu",        "HardSwish", "Identity",
                         "IsNaN",       "LeakyRelu", "Log",
                         "Mish",        "Neg",       "Not",
                         "Reciprocal",  "Relu",      "Round",
                         "Selu",        "Sigmoid",   "Sign",
                         "Sin",         "Sinh",      "Softplus",
                         "Softsign",    "Sqrt",      "Swish",
                         "Tan",         "Tanh",      "ThresholdedRelu",
                         "HardSigmoid", "Softmax",   "LogSoftmax",
                         "Clip"}) {
    for (const Dims& dims : kShapes) {
      const bool logical = op == std::string("Not");
      if (dims.empty() && std::string(op).ends_with("oftmax")) continue;
      Tensor x = edges(dims);
      add(cases,
          {.name = "edges", .op = op, .inputs = {logical ? counting(DType::kBool, dims) : x}});
    }
  }
  add(cases, {.name = "tanh",
              .op = "Gelu",
              .attributes = {{"approximate", std::string("tanh")}},
              .inputs = {edges({41})}});
  for (const DType to :
       {DType::kBool, DType::kInt32, DType::kUint8, DType::kInt64, DType::kFloat16})
    add(cases, {.name = "edges",
                .op = "Cast",
                .attributes = {{"to", static_cast<int64_t>(to)}},
                .inputs = {edges({2, 41})}});
  return cases;
}

std::vector<OpCase> binary_cases() {
  const std::pair<Dims, Dims> shapes[] = {{{27, 27}, {27, 1}}, {{9}, {}},         {{}, {9}},
                                          {{2, 1, 5}, {3, 1}}, {{0, 3}, {1, 3}},  {{4, 0}, {1, 1}},
                                          {{2, 3, 9}, {9}},    {{1, 40}, {40, 1}}};
  std::vector<OpCase> cases;
  for (const char* op :
       {"Add", "Sub", "Mul", "Div", "Pow", "Max", "Min", "Sum", "Mean", "PRelu", "Equal", "Less",
        "LessOrEqual", "Greater", "GreaterOrEqual", "Mod", "And", "Or", "Xor"}) {
    for (const auto& [a, b] : shapes) {
      const std::string kind = op;
      if (kind == "PRelu" && broadcast(a, b) != a) continue;
      const bool logical = kind == "And" || kind == "Or" || kind == "Xor";
      Attributes attributes;
      if (kind == "Mod") attributes.set("fmod", int64_t{1});
      const auto values = [&](const Dims& dims, size_t first) {
        return logical ? counting(DType::kBool, dims) : edges(dims, first);
      };
      add(cases, {.name = "edges",
                  .op = op,
                  .attributes = attributes,
                  .inputs = {values(a, 0), values(b, 5)}});
    }
  }
  add(cases,
      {.name = "bounds", .op = "Clip", .inputs = {edges({41}), f32({}, {-kInf}), f32({}, {2})}});
  add(cases,
      {.name = "crossed", .op = "Clip", .inputs = {edges({41}), f32({}, {3}), f32({}, {2})}});
  add(cases, {.name = "edges",
              .op = "Where",
              .inputs = {counting(DType::kBool, {9, 1}), edges({9}), edges({1, 9}, 4)}});
  add(cases,
      {.name = "none", .op = "Where", .inputs = {bools({1}, {true}), edges({0}), edges({1})}});
  return cases;
}

// One odd value, so that a sum is not NaN anyway; and rows of nothing but it.
std::vector<OpCase> reduce_cases() {
  std::vector<OpCase> cases;
  const Dims shapes[] = {{5, 1}, {4, 9}, {2, 3, 37}, {3, 2, 2, 2}, {1, 40, 5, 6}};
  for (const char* op : {"ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceL1",
                         "ReduceL2", "ReduceSumSquare"}) {
    for (const float odd : {NAN, kInf, -kInf, -0.0f}) {
      for (const Dims& dims : shapes) {
        for (const Ints& over : {Ints{-1}, Ints{0}, Ints{0, 1}})
          add(cases, {.name = "odd", .op = op, .inputs = {with(dims, odd, 1), axes(over)}});
      }
      add(cases, {.name = "only",
                  .op = op,
                  .inputs = {Tensor::of<float>({2, 9}, std::vector<float>(18, odd)), axes({1})}});
    }
    add(cases, {.name = "no_rows", .op = op, .inputs = {f32({0, 3}, {}), axes({1})}});
    add(cases, {.name = "rank0", .op = op, .inputs = {f32({}, {-2})}});
    if (op == std::string("ReduceMean")) continue;
    add(cases, {.name = "of_nothing", .op = op, .inputs = {f32({2, 0, 3}, {}), axes({1})}});
  }
  return cases;
}

std::vector<OpCase> row_cases() {
  std::vector<OpCase> cases;
  for (const char* op : {"Softmax", "LogSoftmax"}) {
    for (const float odd : {NAN, kInf, -kInf, 3e38f}) {
      for (const int64_t axis : {0, 1}) {
        for (const Dims& dims : {Dims{3, 1}, Dims{2, 9}, Dims{3, 43}})
          add(cases, {.name = "odd",
                      .op = op,
                      .attributes = {{"axis", axis}},
                      .inputs = {with(dims, odd, 1)}});
      }
      add(cases, {.name = "only",
                  .op = op,
                  .inputs = {Tensor::of<float>({2, 9}, std::vector<float>(18, odd))}});
    }
  }
  for (const float odd : {NAN, kInf, -0.0f, 1e15f}) {
    for (const int64_t n : {1, 7, 8, 43}) {
      add(cases, {.name = "odd",
                  .op = "LayerNormalization",
                  .inputs = {with({3, n}, odd, 0), edges({n}, 9),
                             f32({n}, std::vector<float>(static_cast<size_t>(n), 1))}});
      add(cases, {.name = "odd",
                  .op = "RMSNormalization",
                  .inputs = {with({3, n}, odd, 0), with({n}, 2, 0)}});
    }
  }
  add(cases,
      {.name = "none", .op = "LayerNormalization", .inputs = {f32({0, 4}, {}), with({4}, 1, 0)}});
  return cases;
}

std::vector<OpCase> pool_cases() {
  std::vector<OpCase> cases;
  for (const char* op : {"MaxPool", "AveragePool", "GlobalMaxPool", "GlobalAveragePool"}) {
    const bool global = std::string(op).starts_with("Global");
    for (const float odd : {NAN, kInf, -kInf, -0.0f}) {
      for (const Dims& dims :
           {Dims{1, 1, 6}, Dims{2, 3, 5, 5}, Dims{1, 19, 4, 6}, Dims{1, 8, 3, 4, 5}}) {
        const size_t rank = dims.size() - 2;
        Attributes attributes;
        if (!global)
          attributes = {{"kernel_shape", Ints(rank, 3)},
                        {"strides", Ints(rank, 2)},
                        {"pads", Ints(2 * rank, 1)}};
        add(cases,
            {.name = "odd", .op = op, .attributes = attributes, .inputs = {with(dims, odd, 2)}});
      }
      Attributes attributes;
      if (!global) attributes = {{"kernel_shape", Ints{2, 2}}, {"pads", Ints{1, 0, 1, 0}}};
      add(cases, {.name = "only",
                  .op = op,
                  .attributes = attributes,
                  .inputs = {Tensor::of<float>({1, 2, 3, 3}, std::vector<float>(18, odd))}});
    }
  }
  return cases;
}

// Bytes go as they are.
std::vector<OpCase> move_cases() {
  return {
      {.name = "edges",
       .op = "Transpose",
       .attributes = {{"perm", Ints{1, 0}}},
       .inputs = {edges({5, 9})}},
      {.name = "none", .op = "Transpose", .inputs = {edges({5, 0, 2})}},
      {.name = "none",
       .op = "Concat",
       .attributes = {{"axis", int64_t{1}}},
       .inputs = {edges({2, 0}), edges({2, 3}), edges({2, 0})}},
      {.name = "edges", .op = "Expand", .inputs = {edges({9, 1}), axes({2, 9, 4})}},
      {.name = "none", .op = "Expand", .inputs = {edges({1, 3}), axes({0, 3})}},
      {.name = "edges", .op = "Gather", .inputs = {edges({9, 3}), i64({2, 2}, {-1, 0, 5, -9})}},
      {.name = "no_indices", .op = "Gather", .inputs = {edges({9, 3}), i64({0}, {})}},
      {.name = "nan", .op = "Pad", .inputs = {edges({3, 3}), axes({1, 0, 0, 2}), f32({}, {NAN})}},
      {.name = "of_none",
       .op = "Pad",
       .inputs = {edges({0, 3}), axes({1, 0, 1, 0}), f32({}, {-kInf})}},
      {.name = "none", .op = "Slice", .inputs = {edges({4, 5}), axes({3}), axes({1}), axes({0})}},
      {.name = "back",
       .op = "Slice",
       .inputs = {edges({4, 9}), axes({8}), axes({-100}), axes({1}), axes({-3})}},
      {.name = "none",
       .op = "Split",
       .attributes = {{"axis", int64_t{1}}},
       .inputs = {edges({2, 3}), axes({0, 3, 0})},
       .outputs = 3},
      {.name = "edges", .op = "Tile", .inputs = {edges({3, 2}), axes({2, 3})}},
      {.name = "none", .op = "Tile", .inputs = {edges({3, 2}), axes({2, 0})}},
      {.name = "edges",
       .op = "DepthToSpace",
       .attributes = {{"blocksize", int64_t{2}}},
       .inputs = {edges({1, 8, 2, 3})}},
      {.name = "edges",
       .op = "SpaceToDepth",
       .attributes = {{"blocksize", int64_t{2}}},
       .inputs = {edges({1, 3, 4, 2})}},
  };
}

std::vector<OpCase> product_cases() {
  std::vector<OpCase> cases;
  for (const float odd : {NAN, kInf, -0.0f}) {
    add(cases,
        {.name = "odd", .op = "MatMul", .inputs = {with({3, 17}, odd, 20), with({17, 19}, 0, 3)}});
    add(cases, {.name = "odd",
                .op = "Gemm",
                .inputs = {with({3, 17}, odd, 20), with({17, 19}, 0, 3), with({19}, odd, 1)}});
    add(cases, {.name = "odd",
                .op = "Conv",
                .attributes = {{"pads", Ints{1, 1, 1, 1}}},
                .inputs = {with({1, 3, 5, 5}, odd, 7), with({4, 3, 3, 3}, 1, 0)}});
  }
  add(cases,
      {.name = "nothing_summed", .op = "MatMul", .inputs = {f32({2, 0}, {}), f32({0, 3}, {})}});
  add(cases, {.name = "no_rows", .op = "MatMul", .inputs = {f32({0, 4}, {}), with({4, 3}, 1, 0)}});
  add(cases, {.name = "nothing_summed",
              .op = "Gemm",
              .inputs = {f32({2, 0}, {}), f32({0, 3}, {}), f32({3}, {1, 2, 3})}});
  add(cases, {.name = "no_batch",
              .op = "Conv",
              .inputs = {f32({0, 3, 5, 5}, {}), with({4, 3, 3, 3}, 1, 0)}});
  return cases;
}

INSTANTIATE_TEST_SUITE_P(UnaryEdges, OpTest, testing::ValuesIn(unary_cases()), case_name);
INSTANTIATE_TEST_SUITE_P(BinaryEdges, OpTest, testing::ValuesIn(binary_cases()), case_name);
INSTANTIATE_TEST_SUITE_P(ReduceEdges, OpTest, testing::ValuesIn(reduce_cases()), case_name);
INSTANTIATE_TEST_SUITE_P(RowEdges, OpTest, testing::ValuesIn(row_cases()), case_name);
INSTANTIATE_TEST_SUITE_P(PoolEdges, OpTest, testing::ValuesIn(pool_cases()), case_name);
INSTANTIATE_TEST_SUITE_P(MoveEdges, OpTest, testing::ValuesIn(move_cases()), case_name);
INSTANTIATE_TEST_SUITE_P(ProductEdges, OpTest, testing::ValuesIn(product_cases()), case_name);

}  // namespace
}  // namespace treadle::test

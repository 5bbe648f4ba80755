// Models of 16-bit floats: computed in float on the CPU, rounded at the edges; node by node where
// the optimizer is off or the device has kernels of 16 bits.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "graph/text.h"
#include "tests/runtime/graphs.h"
#include "tests/support/tensors.h"

namespace treadle {
namespace {

// 256 · 256 is beyond float16; 23552 is its 256.
const char* const kLarge = R"(g (float16[2] x) => (float16[2] y, float16[2] square)
    <float16 large = {23552}> {
  square = Mul (x, x)
  y = Div (square, large)
})";

std::vector<double> outputs_of(const ModelOptions& options, size_t output) {
  Session session(Model::create(parse(kLarge), options), {1});
  const std::vector<Value> got =
      session.run(std::vector<NamedValue>{{"x", test::f16({2}, {256, 2})}});
  EXPECT_EQ(got[output].tensor().dtype(), DType::kFloat16);
  return got[output].tensor().to_doubles();
}

TEST(Halves, OverflowAtTheEdgesOnly) {
  EXPECT_EQ(outputs_of(ModelOptions(), 0), (std::vector<double>{256, 4.0 / 256}));
  EXPECT_EQ(outputs_of(ModelOptions(), 1), (std::vector<double>{INFINITY, 4}));
}

TEST(Halves, RoundEachNodeWhereTheOptimizerIsOff) {
  EXPECT_EQ(outputs_of(raw(), 0), (std::vector<double>{INFINITY, 4.0 / 256}));
  ModelOptions skipping;
  skipping.passes.skip = {"widen_halves"};
  EXPECT_EQ(outputs_of(skipping, 0), (std::vector<double>{INFINITY, 4.0 / 256}));
}

TEST(Halves, StayWhereTheDeviceMultipliesThem) {
  ModelOptions options;
  options.device = "reference";
  EXPECT_EQ(outputs_of(options, 0), (std::vector<double>{INFINITY, 4.0 / 256}));
}

// Odd sizes; the weights are converted before the run.
TEST(Halves, RunConvertsTheEdgesOnly) {
  for (const DType half : {DType::kFloat16, DType::kBfloat16}) {
    Graph g;
    Builder b(g);
    const ValueId x = g.add_input("x", Type::tensor(half, Shape{1, 3, 7, 9}));
    const ValueId w = b.constant(test::random_tensor(half, {5, 3, 3, 3}, 1));
    const ValueId v = b.constant(test::random_tensor(half, {5 * 5 * 7, 11}, 2));
    const ValueId flat = b.op("Flatten", {b.op("Relu", {b.op("Conv", {x, w})})});
    g.add_output("y", b.op("MatMul", {flat, v}));
    const Value input = test::random_tensor(half, {1, 3, 7, 9}, 3);
    const Value want = evaluate(g, {input})[0];
    Session session(Model::create(std::move(g)), {1});
    const std::vector<Value> got = session.run(std::vector<NamedValue>{{"x", input}});
    const double unit = half == DType::kFloat16 ? 0x1p-10 : 0x1p-7;
    EXPECT_EQ(test::difference(got[0], want, {4 * unit, 8 * unit}), "");
    const std::vector<StepInfo> steps = session.describe_plan({}).steps;
    const auto is_cast = [](const StepInfo& s) { return s.op == "Cast"; };
    EXPECT_EQ(std::ranges::count_if(steps, is_cast), 2);
  }
}

}  // namespace
}  // namespace treadle

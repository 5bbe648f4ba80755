// Training a model of 16-bit floats: gradients and updates in float, parameters rounded once a step.
#include <gtest/gtest.h>

#include "graph/text.h"
#include "tests/support/tensors.h"
#include "training/trainer.h"

namespace treadle::test {
namespace {

// w is {0.5, -1}, b is 0.25.
const char* const kLine = R"(line (float16[N, 2] x) => (float16[N, 1] y)
  <float16[2, 1] w = {14336, 48128}, float16[1] b = {13312}>
{
  product = MatMul (x, w)
  y = Add (product, b)
})";

TEST(Trainer, HalvesStepAsByHand) {
  TrainerOptions options;
  options.schedule.rate = 0.1;
  Trainer trainer(parse(kLine), options);
  const Tensor x = f16({3, 2}, {1, 2, -1, 0.5f, 0.25f, -2}), t = f16({3, 1}, {1, 0, -1});
  const std::vector<NamedValue> batch = {{"x", x}, {"target", t}};
  double w[2] = {0.5, -1}, b = 0.25;
  for (int step = 0; step < 20; ++step) {
    double loss = 0, dw[2] = {0, 0}, db = 0;
    for (size_t i = 0; i < 3; ++i) {
      const double first = x.to_doubles()[2 * i], second = x.to_doubles()[2 * i + 1];
      const double d = first * w[0] + second * w[1] + b - t.to_doubles()[i];
      loss += d * d / 3;
      dw[0] += 2 * d * first / 3;
      dw[1] += 2 * d * second / 3;
      db += 2 * d / 3;
    }
    const StepResult result = trainer.step(batch);
    ASSERT_NEAR(result.loss, loss, 0.01 + 0.01 * loss) << "step " << step;
    w[0] -= 0.1 * dw[0];
    w[1] -= 0.1 * dw[1];
    b -= 0.1 * db;
  }
  EXPECT_EQ(trainer.variable("w").dtype(), DType::kFloat16);
  EXPECT_NEAR(trainer.variable("w").to_doubles()[0], w[0], 0.01);
  EXPECT_NEAR(trainer.variable("w").to_doubles()[1], w[1], 0.01);
  EXPECT_NEAR(trainer.variable("b").to_doubles()[0], b, 0.01);
}

}  // namespace
}  // namespace treadle::test

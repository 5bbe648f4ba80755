// Training through QuantizeLinear and DequantizeLinear.
#include "training/straight_through.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "graph/text.h"
#include "tests/support/tensors.h"
#include "training/trainer.h"

namespace treadle::test {
namespace {

using testing::ElementsAre;

TrainerOptions options(std::vector<std::string> fetch) {
  TrainerOptions o;
  o.schedule.rate = 1;
  o.joint.loss.kind = "output";
  o.joint.loss.reduction = Reduction::kSum;
  o.joint.fetch = std::move(fetch);
  return o;
}

// w has steps of a quarter, from -32 to 31.75; the last two lie beyond.
const char* const kModel = R"(g (float[N, 4] x) => (float[N, 4] y)
  <float[4] w = {0.3, -1.1, 40, -33}, float step = {0.25}, int8 zero = {0}>
{
  q = QuantizeLinear (w, step, zero)
  d = DequantizeLinear (q, step, zero)
  y = Mul (x, d)
})";

std::vector<NamedValue> batch() { return {{"x", f32({1, 4}, {1, 2, 3, 4})}}; }

TEST(StraightThrough, PassesWhatLiesWithin) {
  Trainer trainer(parse(kModel), options({"grad:w", "d"}));
  const double before = trainer.eval(batch()).loss;
  EXPECT_EQ(trainer.step(batch()).loss, before);  // results are those of inference
  EXPECT_THAT(trainer.fetched("d").tensor().to_doubles(), ElementsAre(0.25, -1, 31.75, -32));
  EXPECT_THAT(trainer.fetched("grad:w").tensor().to_doubles(), ElementsAre(1, 2, 0, 0));
  EXPECT_THAT(
      trainer.variable("w").to_doubles(),
      ElementsAre(testing::DoubleNear(-0.7, 1e-6), testing::DoubleNear(-3.1, 1e-6), 40, -33));
}

TEST(StraightThrough, CanBeSwitchedOff) {
  TrainerOptions o = options({});
  o.joint.straight_through = false;
  EXPECT_THROW(Trainer(parse(kModel), o), Error);  // nothing to train
}

// A step an index of axis 0, trained too: its slope is that of rounding, q - w/step, and the bound
// beyond the range.
TEST(StraightThrough, PassesToScalesOfAnAxis) {
  Trainer trainer(parse(R"(g (float[N, 2, 2] x) => (float[N, 2, 2] y)
    <float[2, 2] w = {0.3, -1.1, 400, 33}, float[2] step = {0.25, 0.5}, uint8[2] zero = {100, 10}>
  {
    q = QuantizeLinear <axis = 0> (w, step, zero)
    d = DequantizeLinear <axis = 0> (q, step, zero)
    y = Mul (x, d)
  })"),
                  options({"grad:w", "grad:step", "d"}));
  trainer.step(std::vector<NamedValue>{{"x", f32({1, 2, 2}, {1, 2, 3, 4})}});
  EXPECT_THAT(trainer.fetched("d").tensor().to_doubles(), ElementsAre(0.25, -1, 122.5, 33));
  EXPECT_THAT(trainer.fetched("grad:w").tensor().to_doubles(), ElementsAre(1, 2, 0, 4));
  EXPECT_THAT(trainer.fetched("grad:step").tensor().to_doubles(),
              ElementsAre(testing::DoubleNear(1 * (1 - 1.2) + 2 * (-4 + 4.4), 1e-5),
                          testing::DoubleNear(3 * 245 + 4 * (66 - 66), 1e-5)));
}

// Another step on the way back is no rounding of the same value.
TEST(StraightThrough, IsForPairs) {
  std::string text = kModel;
  text.replace(text.find("(q, step, zero)"), 15, "(q, other, zero)");
  text.replace(text.find("int8 zero"), 9, "float other = {0.5}, int8 zero");
  EXPECT_THROW(Trainer(parse(text), options({})), Error);
}

}  // namespace
}  // namespace treadle::test

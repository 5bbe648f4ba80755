// A loss that a graph of its own computes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "graph/text.h"
#include "importer/importer.h"
#include "tests/support/tensors.h"
#include "tests/training/data_files.h"
#include "training/settings.h"
#include "training/trainer.h"

namespace treadle::test {
namespace {

using testing::HasSubstr;

const char* const kModel = R"(line (float[N, 2] x) => (float[N, 1] y, float[N, 1] z)
  <float[2, 1] w = {0.5, -1}, float[1] b = {0.25}>
{
  product = MatMul (x, w)
  y = Add (product, b)
  z = Mul (y, y)
})";

TrainerOptions with_loss(const std::string& text) {
  TrainerOptions options;
  options.schedule.rate = 0.1;
  options.joint.loss.kind = "own";
  options.joint.loss.graph = std::make_shared<const Graph>(parse(text));
  return options;
}

const Tensor& x() {
  static const Tensor t = f32({3, 2}, {1, 2, -1, 0.5f, 0.25f, -2});
  return t;
}
const Tensor& target() {
  static const Tensor t = f32({3, 1}, {1, 0, -1});
  return t;
}

std::string refusal_of(const std::string& loss) {
  return error_of([&] { Trainer(parse(kModel), with_loss(loss)); });
}

void expect_as_mse(Trainer& own, const std::vector<NamedValue>& batch) {
  TrainerOptions options;
  options.schedule.rate = 0.1;
  Trainer usual(parse(kModel), options);
  for (int i = 0; i < 3; ++i) {
    const double want = usual.step(std::vector<NamedValue>{{"x", x()}, {"target", target()}}).loss;
    EXPECT_NEAR(own.step(batch).loss, want, 1e-6 * want);
  }
  EXPECT_NEAR(own.eval(batch).loss,
              usual.eval(std::vector<NamedValue>{{"x", x()}, {"target", target()}}).loss, 1e-6);
  const std::vector<double> got = own.variable("w").to_doubles();
  const std::vector<double> want = usual.variable("w").to_doubles();
  for (size_t i = 0; i < want.size(); ++i) EXPECT_NEAR(got[i], want[i], 1e-6);
}

TEST(LossGraph, IsAsTheUsualOne) {
  Trainer own(parse(kModel), with_loss(R"(l (float[B, 1] wish, float[B, 1] y) => (float loss) {
    d = Sub (y, wish)
    squares = Mul (d, d)
    loss = ReduceMean <keepdims = 0> (squares)
  })"));
  EXPECT_EQ(own.target(), "wish");
  expect_as_mse(own, {{"x", x()}, {"wish", target()}});
  EXPECT_EQ(own.output_names(), (std::vector<std::string>{"y", "z"}));
  EXPECT_FALSE(own.exported().find_value("wish").valid());
}

// Two outputs, a value within, an input of the model, weights of the samples, names that the model
// has too, and a result of several elements.
TEST(LossGraph, ReadsWhatItNames) {
  Trainer own(parse(kModel),
              with_loss(R"(l (float[B, 1] share, float[B, 1] y, float[B, 1] z, float[B, 1] product,
                             float[B, 2] x, float[B, 1] target) => (float[B, 1] out)
    <float[1] w = {0.25}, float[2, 1] none = {0, 0}>
  {
    b = Sub (y, target)
    squares = Mul (b, b)
    bias = Sub (y, product)
    square = Add (product, bias)
    zero = MatMul (x, none)
    nothing = Sub (z, z)
    more = Mul (square, nothing)
    all = Sum (squares, zero, nothing, more)
    quarter = Mul (all, w)
    out = Mul (quarter, share)
  })"));
  EXPECT_EQ(own.target(), "target");
  expect_as_mse(own, {{"x", x()}, {"target", target()}, {"share", f32({3, 1}, {4, 4, 4})}});
}

TEST(LossGraph, SaysWhatDoesNotFit) {
  EXPECT_THAT(refusal_of("l (float[B] a, float[B] c) => (float[B] d) { d = Sub (a, c) }"),
              HasSubstr("reads nothing of the model: it takes 'a', 'c', the model's outputs are "
                        "'y', 'z'"));
  EXPECT_THAT(refusal_of("l (double[B, 1] y) => (double[B, 1] d) { d = Neg (y) }"),
              HasSubstr("takes 'y' as double[B, 1], the model has float[N, 1]"));
  EXPECT_THAT(refusal_of("l (float[B, 1] y) => (float[B, 1] d, float[B, 1] e) { d = Neg (y) "
                       "e = Neg (y) }"),
              HasSubstr("has 2 outputs, expected one"));
  EXPECT_THAT(refusal_of("l (float[B, 1] y) => (int64[B, 1] d) { d = Cast <to = 7> (y) }"),
              HasSubstr("a loss needs floats"));
}

TEST(LossGraph, IsReadFromAFile) {
  const std::filesystem::path path = std::filesystem::path(testing::TempDir()) / "own_loss.onnx";
  save(parse(R"(l (float[B, 1] y, float[B, 1] target) => (float loss) {
    d = Sub (y, target)
    loss = ReduceSumSquare <keepdims = 0> (d)
  })"),
       path);
  TrainerOptions options;
  set_train_setting(options, "loss", path.string());
  Trainer own(parse(kModel), options);
  TrainerOptions sums;
  set_train_setting(sums, "reduction", "sum");
  const std::vector<NamedValue> batch = {{"x", x()}, {"target", target()}};
  EXPECT_NEAR(own.step(batch).loss, Trainer(parse(kModel), sums).step(batch).loss, 1e-5);
  set_train_setting(options, "loss", "l1");
  EXPECT_EQ(options.joint.loss.graph, nullptr);
  EXPECT_THROW(set_train_setting(options, "loss", "nowhere.onnx"), Error);
}

}  // namespace
}  // namespace treadle::test

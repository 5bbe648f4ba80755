// Losses that are written as formulas.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "graph/text.h"
#include "tests/support/tensors.h"
#include "tests/training/data_files.h"
#include "training/settings.h"
#include "training/trainer.h"

namespace treadle::test {
namespace {

using testing::HasSubstr;

const char* const kModel = R"(line (float[N, 2] x) => (float[N, 3] logits, float[N, 1] aux)
  <float[2, 3] w = {0.5, -1, 0.25, 1, 0.75, -0.5}, float[2, 1] v = {0.5, 2}>
{
  logits = MatMul (x, w)
  aux = MatMul (x, v)
})";

TrainerOptions with_loss(const std::string& loss) {
  TrainerOptions options;
  set_train_setting(options, "rate", "0.1");
  set_train_setting(options, "loss", loss);
  return options;
}

std::vector<NamedValue> with_target(const Tensor& target) {
  return {{"x", f32({2, 2}, {1, 2, -1, 0.5f})}, {"target", target}};
}
std::vector<NamedValue> numbers() { return with_target(f32({2, 3}, {1, 0, -1, 2, 0.5f, 0})); }
std::vector<NamedValue> classes() { return with_target(Tensor::of<int64_t>({2}, {2, 0})); }

double first_loss(const std::string& loss, std::vector<NamedValue> batch) {
  Trainer trainer(parse(kModel), with_loss(loss));
  if (trainer.target().empty()) batch.pop_back();
  return trainer.step(batch).loss;
}

std::string refusal_of(const std::string& loss) {
  return error_of([&] { Trainer(parse(kModel), with_loss(loss)); });
}

// logits: 2.5 0.5 -0.75, 0 1.375 -0.5; aux: 4.5, 0.5; differences: 1.5 0.5 0.25, -2 0.875 -0.5.
TEST(LossExpression, IsWhatItSays) {
  const double squares = (2.25 + 0.25 + 0.0625 + 4 + 0.765625 + 0.25) / 6;
  const struct {
    const char* loss;
    double want;
  } cases[] = {
      {"mean((logits - target)^2)", squares},
      {"mean((logits - target)^2) + 0.1*mean(abs(aux))", squares + 0.25},
      {"mean((logits - target)^2) + 0.1 * 2 ^ 3 / 4 * mean(abs(aux)) - 1", squares - 0.5},
      {"-(2 - 3 * 4 - -5) + 0*sum(aux)", 5},
      {"2^3^2 + 0*sum(aux)", 512},
      {"-2^2 + 0*sum(aux)", -4},
      {"(logits - target)^2", squares},  // of several elements: their mean
      {"sum(aux^3)", 91.25},
      {"sum(2^aux)", 24.04163056},
      {"mean(sum(logits, axis=1))", (2.25 + 0.875) / 2},
      {"sum(max(aux, 1))", 5.5},
      {"max(aux)", 4.5},
      {"sum(clip(aux, 1, 2))", 3},
      {"mean(Relu(-logits)) + 0*sum(aux)", 1.25 / 6},
      {"sum(log_softmax(0*logits, axis=-1))", -6.591673732},
      {"sum(gelu(aux, approximate=\"tanh\"))", 4.845703},
      {"mean(\"logits\")", 3.125 / 6},
      {"sum(w^2)", 0.25 + 1 + 0.0625 + 1 + 0.5625 + 0.25},
      {"huber(logits, target)", (1 + 0.125 + 0.03125 + 1.5 + 0.3828125 + 0.125) / 6},
  };
  for (const auto& c : cases) EXPECT_NEAR(first_loss(c.loss, numbers()), c.want, 2e-5) << c.loss;
}

TEST(LossExpression, TrainsAsTheUsualOne) {
  for (const char* kind : {"mse", "cross_entropy"}) {
    const std::vector<NamedValue> batch = kind[0] == 'm' ? numbers() : classes();
    Trainer usual(parse(kModel), with_loss(kind));
    Trainer own(parse(kModel), with_loss(cat(kind, "(logits, target)")));
    EXPECT_EQ(own.target(), "target");
    for (int i = 0; i < 3; ++i) EXPECT_EQ(own.step(batch).loss, usual.step(batch).loss);
    EXPECT_EQ(own.eval(batch).loss, usual.eval(batch).loss);
    EXPECT_EQ(own.variable("w").to_doubles(), usual.variable("w").to_doubles());
  }
}

TEST(LossExpression, UsesTheOptionsOfTheLossesInIt) {
  TrainerOptions usual = with_loss("cross_entropy");
  TrainerOptions own = with_loss("cross_entropy(logits, target) + 0 * mse(aux, aux)");
  for (TrainerOptions* o : {&usual, &own}) {
    set_train_setting(*o, "label_smoothing", "0.1");
    set_train_setting(*o, "class_weights", "1,2,3");
  }
  EXPECT_NEAR(Trainer(parse(kModel), own).step(classes()).loss,
              Trainer(parse(kModel), usual).step(classes()).loss, 1e-6);
}

TEST(LossExpression, TakesOtherArraysOfTheBatch) {
  Trainer own(parse(kModel), with_loss("cross_entropy(logits, target) + "
                                       "mean(batch.share * (aux - batch.wish)^2)"));
  EXPECT_EQ(own.target(), "target");
  std::vector<NamedValue> batch = classes();
  batch.push_back({"share", f32({2, 1}, {1, 3})});
  batch.push_back({"wish", f32({2, 1}, {4, 0})});
  EXPECT_NEAR(own.step(batch).loss, first_loss("cross_entropy", classes()) + 0.5, 1e-5);
  Trainer another(parse(kModel), with_loss("mse(aux, batch.wish)"));
  EXPECT_EQ(another.target(), "wish");
}

TEST(LossExpression, SaysWhatIsWrongAndWhere) {
  const struct {
    const char* loss;
    std::vector<const char*> want;
  } cases[] = {
      {"mean((logit - target)^2)",
       {"loss 'mean((logit - target)^2)': line 1, column 7: ", "no value 'logit'",
        "did you mean 'logits'?"}},
      {"mean(abs(zzzzz))", {"column 10", "its outputs are 'logits', 'aux'", "batch.zzzzz"}},
      {"mean(abz(aux))", {"column 6", "there is no function 'abz'", "did you mean 'Abs'?"}},
      {"mean(aux", {"column 9", "expected ')', found the end"}},
      {"mean(aux))", {"column 10", "expected an operator or the end, found ')'"}},
      {"mean(aux) +", {"expected a number, a name or '(', found the end"}},
      {"mean()", {"column 6", "expected a number, a name or '('"}},
      {"mean(aux, axis=0.5)", {"mean: 'axis' is 0.5, expected an integer"}},
      {"mean(aux, axes=1)", {"'axis='", "not 'axes'"}},
      {"mean(aux, axis=7)", {"column 1", "mean: "}},
      {"sum(clip(aux, alpha=1))", {"column 5", "clip: it has no attribute 'alpha'"}},
      {"sum(gelu(aux, approximate=1))", {"'approximate' is a text in quotes"}},
      {"sum(if(aux))", {"column 5", "if: "}},
      {"mean(logits - relu(x))", {"column 13", "'-': "}},
      {"mean(target)", {"reads nothing of the model, whose outputs are 'logits', 'aux'"}},
      {"cross_entropy(logits)", {"column 1", "takes an output and what that should be"}},
      {"cross_entropy(logits, aux)",
       {"it wants int64[N] for the output, and is given float[N, 1]"}},
      {"mean(batch.w - aux)", {"column 6", "the model has a value 'w' itself"}},
      {"sum(less(aux, 1))", {"is bool, which"}},
      {"(less(aux, 1))", {"a loss needs floats"}},
      {"mean(aux ? 1)", {"column 10", "expected ')'"}},
  };
  for (const auto& c : cases) {
    for (const char* want : c.want) EXPECT_THAT(refusal_of(c.loss), HasSubstr(want)) << c.loss;
  }
  const std::string deep(5000, '(');
  EXPECT_THAT(refusal_of(deep + "aux"), HasSubstr("more than 200 parentheses"));
}

TEST(LossExpression, UnknownLossesAreToldAll) {
  TrainerOptions options;
  for (const char* name : {"zzzz", "cross-entropy"}) {
    try {
      set_train_setting(options, "loss", name);
      ADD_FAILURE() << name;
    } catch (const Error& e) {
      EXPECT_THAT(e.what(), HasSubstr("There are: cross_entropy, nll, mse"));
      EXPECT_THAT(e.what(), HasSubstr("a formula as 'mean((output - target)^2)'"));
    }
  }
}

}  // namespace
}  // namespace treadle::test

// Options of training as text: groups of parameters.
#include "training/settings.h"

#include <gtest/gtest.h>

#include "graph/text.h"
#include "tests/support/tensors.h"
#include "training/trainer.h"

namespace treadle::test {
namespace {

using Settings = std::vector<std::pair<const char*, const char*>>;

TrainerOptions options_of(const Settings& settings) {
  TrainerOptions options;
  for (const auto& [key, value] : settings) set_train_setting(options, key, value);
  return options;
}

// What a step adds to w and b of y = w x + b.
std::vector<double> moved(const Settings& settings) {
  Trainer trainer(parse(R"(line (float[N, 1] x) => (float[N, 1] y)
    <float[1, 1] w = {2}, float[1] b = {4}> { p = MatMul (x, w)  y = Add (p, b) })"),
                  options_of(settings));
  trainer.step(std::vector<NamedValue>{{"x", f32({1, 1}, {3})}, {"target", f32({1, 1}, {9.5f})}});
  return {trainer.variable("w").to_doubles()[0] - 2, trainer.variable("b").to_doubles()[0] - 4};
}

// The loss (2·3 + 4 - 9.5)² has the gradients 3 and 1.
TEST(Settings, GroupsMultiplyRatesAndDecays) {
  const Settings plain = {{"rate", "0.125"}, {"weight_decay", "0.5"}};
  const auto with = [&](const Settings& more) {
    Settings all = plain;
    all.insert(all.end(), more.begin(), more.end());
    return moved(all);
  };
  using Moved = std::vector<double>;
  EXPECT_EQ(moved(plain), (Moved{-0.125 * (3 + 1), -0.125 * (1 + 2)}));
  EXPECT_EQ(with({{"decays", "b*=0"}}), (Moved{-0.125 * (3 + 1), -0.125 * 1}));
  // The first that matches counts, of rates and of decays each.
  EXPECT_EQ(with({{"rates", "w=2"}, {"decays", "b=0,*=3"}}), (Moved{-0.25 * (3 + 3), -0.125 * 1}));
  EXPECT_EQ(with({{"optimizer", "sgd"}, {"decoupled_decay", "1"}, {"decays", "w=2"}}),
            (Moved{-0.125 * (3 + 2), -0.125 * (1 + 2)}));
  EXPECT_THROW(with({{"decays", "b"}}), Error);
  EXPECT_THROW(with({{"decays", "b=-1"}}), Error);
}

TEST(Settings, AListReplacesTheOneBefore) {
  const TrainerOptions o = options_of(
      {{"freeze", "a*"}, {"rates", "c=2"}, {"decays", "c=3"}, {"freeze", "b"}, {"rates", "d=4"}});
  std::string text;
  for (const ParameterGroup& g : o.joint.groups)
    text += cat(g.pattern, " ", g.frozen ? 1 : 0, " ", g.rate.value_or(1), " ", g.decay.value_or(1),
                "\n");
  EXPECT_EQ(text, "c 0 1 3\nb 1 1 1\nd 0 4 1\n");
}

}  // namespace
}  // namespace treadle::test

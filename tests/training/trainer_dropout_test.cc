// Dropout in training: drawn by seed and run, gone from evaluation and export.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "graph/builder.h"
#include "graph/text.h"
#include "tests/support/tensors.h"
#include "training/trainer.h"

namespace treadle::test {
namespace {

Graph dropout_net() {
  Graph g = parse(R"(net (float[N, 100] x, float[100] w0) => (float[N, 100] y)
    <float ratio = {0.25}, bool on = {1}>
  {
    a = Mul (x, w0)
    d = Dropout (a, ratio, on)
    y = Identity (d)
  })");
  Graph net;
  net.name = g.name;
  const ValueId x = net.add_input("x", g.value(g.inputs()[0]).type);
  const ValueId w = net.add_constant("w", f32({100}, std::vector<float>(100, 1.0f)));
  net.add_output("y", inline_graph(net, g, {x, w})[0]);
  annotate(net);
  return net;
}

TEST(Trainer, DropoutFollowsSeedAndRun) {
  const std::vector<NamedValue> batch = {{"x", f32({8, 100}, std::vector<float>(800, 1.0f))},
                                         {"target", f32({8, 100}, std::vector<float>(800, 0.0f))}};
  const auto run = [&](uint64_t seed) {
    TrainerOptions options;
    options.schedule.rate = 0;
    options.joint.seed = seed;
    options.joint.fetch = {"y"};
    Trainer trainer(dropout_net(), options);
    std::vector<Tensor> drawn;
    for (int i = 0; i < 2; ++i) {
      trainer.step(batch);
      drawn.push_back(trainer.fetched("y").tensor().clone());
    }
    EXPECT_EQ(trainer.eval(batch).loss, 1);
    EXPECT_EQ(trainer.exported().node_count(), 2u);
    return drawn;
  };
  const std::vector<Tensor> one = run(1), again = run(1), other = run(2);
  EXPECT_TRUE(one[0] == again[0] && one[1] == again[1]);
  EXPECT_FALSE(one[0] == one[1]);
  EXPECT_FALSE(one[0] == other[0]);
  const auto y = one[0].data<float>();
  const auto dropped = std::ranges::count(y, 0.0f);
  EXPECT_NEAR(static_cast<double>(dropped), 200, 3 * std::sqrt(800 * 0.25 * 0.75));
  EXPECT_EQ(std::ranges::count(y, 1 / 0.75f) + dropped, 800);
}

}  // namespace
}  // namespace treadle::test

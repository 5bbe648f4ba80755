// Recurrent layers of which only some outputs are read.
#include <gtest/gtest.h>

#include <cmath>

#include "tests/runtime/graphs.h"

namespace treadle {
namespace {

Tensor small(Dims dims) {
  Tensor t(DType::kFloat, std::move(dims));
  auto x = t.data<float>();
  for (size_t i = 0; i < x.size(); ++i)
    x[i] = std::sin(static_cast<float>(i) * 0.7f) / static_cast<float>(8);
  return t;
}

// The states lie in scratch then, in two places by turns, over chunks of several lengths.
TEST(Recurrent, LastStateAlone) {
  for (const char* direction : {"forward", "reverse"}) {
    for (const int64_t sequence : {1, 2, 86, 88, 89, 170, 171}) {
      Graph g;
      Builder b(g);
      const ValueId x = g.add_input("x", floats({sequence, 3, 5}));
      const std::vector<ValueId> outputs =
          b.add("LSTM", {x, b.constant(small({1, 256, 5})), b.constant(small({1, 256, 64})), {}},
                {{"hidden_size", int64_t{64}}, {"direction", std::string(direction)}}, 3);
      g.add_output("h", outputs[1]);
      const std::vector<Value> inputs{small({sequence, 3, 5})};
      const std::vector<double> want = evaluate(g, inputs)[0].tensor().to_doubles();
      for (const int threads : {1, 2}) {
        Session session(Model::create(g.clone(), {}), {threads});
        std::vector<Value> got(1);
        session.run_into(inputs, got);
        const std::vector<double> h = got[0].tensor().to_doubles();
        for (size_t i = 0; i < want.size(); ++i)
          ASSERT_NEAR(h[i], want[i], 1e-5) << direction << " " << sequence << " " << threads;
      }
    }
  }
}

}  // namespace
}  // namespace treadle

// Optimizers of ai.onnx.preview.training; expected values by ONNX's reference.
#include <cmath>

#include "tests/ops/runner.h"

namespace treadle::test {
namespace {

std::vector<OpCase> update_cases() {
  return {
      {.name = "t0",
       .op = "Adagrad",
       .domain = "ai.onnx.preview.training",
       .attributes = {{"norm_coefficient", 0.01F}, {"epsilon", 0.001F}, {"decay_factor", 0.1F}},
       .inputs = {f32({}, {0.1F}), i64({}, {0}), f32({2}, {0.25F, 0.79F}),
                  f32({2}, {0.55F, -0.55F}), f32({2}, {0.3F, 0.87F})},
       .want = {f32({2}, {0.17907411F, 0.8402024F}), f32({2}, {0.60525626F, 1.1638725F})}},
      {.name = "t0",
       .op = "Adam",
       .domain = "ai.onnx.preview.training",
       .attributes = {{"norm_coefficient", 0.01F},
                      {"alpha", 0.95F},
                      {"beta", 0.1F},
                      {"epsilon", 0.001F},
                      {"norm_coefficient_post", 0.25F}},
       .inputs = {f32({}, {0.1F}), i64({}, {0}), f32({2}, {-0.99F, 0.64F}),
                  f32({2}, {0.59F, -0.06F}), f32({2}, {-0.39F, -0.44F}), f32({2}, {0.25F, 0.45F})},
       .want = {f32({2}, {-0.697848F, 0.6239755F}), f32({2}, {-0.34149495F, -0.42068F}),
                f32({2}, {0.3278644F, 0.047585662F})}},
      {.name = "standard_t0",
       .op = "Momentum",
       .domain = "ai.onnx.preview.training",
       .attributes =
           {{"norm_coefficient", 0.001F}, {"alpha", 0.95F}, {"beta", 0.5F}, {"mode", "standard"}},
       .inputs = {f32({}, {0.1F}), i64({}, {0}), f32({1, 2}, {0.01F, 0.11F}),
                  f32({1, 2}, {0.99F, 0.59F}), f32({1, 2}, {0.24F, 0.98F})},
       .want = {f32({1, 2}, {-0.111801F, -0.042110994F}), f32({1, 2}, {1.21801F, 1.5211099F})}},
      {.name = "nesterov_t0",
       .op = "Momentum",
       .domain = "ai.onnx.preview.training",
       .attributes =
           {{"norm_coefficient", 0.001F}, {"alpha", 0.95F}, {"beta", 0.5F}, {"mode", "nesterov"}},
       .inputs = {f32({}, {0.1F}), i64({}, {0}), f32({1, 2}, {-0.57F, -0.68F}),
                  f32({1, 2}, {0.23F, -0.91F}), f32({1, 2}, {-0.93F, 0.03F})},
       .want = {f32({1, 2}, {-0.53080636F, -0.50512487F}),
                f32({1, 2}, {-0.65406996F, -0.88218004F})}},
      {.name = "t3",
       .op = "Adagrad",
       .domain = "ai.onnx.preview.training",
       .attributes = {{"norm_coefficient", 0.01F}, {"epsilon", 0.001F}, {"decay_factor", 0.1F}},
       .inputs = {f32({}, {0.1F}), i64({}, {3}), f32({2}, {-0.07F, 0.83F}),
                  f32({2}, {0.26F, 0.03F}), f32({2}, {0.5F, 0.25F})},
       .want = {f32({2}, {-0.09644849F, 0.82413656F}), f32({2}, {0.5672365F, 0.2514669F})}},
      {.name = "t3",
       .op = "Adam",
       .domain = "ai.onnx.preview.training",
       .attributes = {{"norm_coefficient", 0.01F},
                      {"alpha", 0.95F},
                      {"beta", 0.1F},
                      {"epsilon", 0.001F},
                      {"norm_coefficient_post", 0.25F}},
       .inputs = {f32({}, {0.1F}), i64({}, {3}), f32({2}, {-0.98F, -0.62F}),
                  f32({2}, {0.38F, -0.6F}), f32({2}, {-0.26F, -0.99F}), f32({2}, {0.83F, 0.15F})},
       .want = {f32({2}, {-0.47120577F, 0.4013145F}), f32({2}, {-0.22849F, -0.97081006F}),
                f32({2}, {0.20634323F, 0.34573066F})}},
      {.name = "standard_t3",
       .op = "Momentum",
       .domain = "ai.onnx.preview.training",
       .attributes =
           {{"norm_coefficient", 0.001F}, {"alpha", 0.95F}, {"beta", 0.5F}, {"mode", "standard"}},
       .inputs = {f32({}, {0.1F}), i64({}, {3}), f32({1, 2}, {-0.46F, 0.76F}),
                  f32({1, 2}, {0.02F, 0.69F}), f32({1, 2}, {0.28F, 0.48F})},
       .want = {f32({1, 2}, {-0.48757702F, 0.679862F}), f32({1, 2}, {0.27577F, 0.80138F})}},
      {.name = "nesterov_t3",
       .op = "Momentum",
       .domain = "ai.onnx.preview.training",
       .attributes =
           {{"norm_coefficient", 0.001F}, {"alpha", 0.95F}, {"beta", 0.5F}, {"mode", "nesterov"}},
       .inputs = {f32({}, {0.1F}), i64({}, {3}), f32({1, 2}, {-0.82F, 0.08F}),
                  f32({1, 2}, {0.02F, 0.74F}), f32({1, 2}, {-0.28F, 0.2F})},
       .want = {f32({1, 2}, {-0.797559F, -0.047211796F}), f32({1, 2}, {-0.25641F, 0.56004F})}},
      {.name = "two_variables",
       .op = "Adagrad",
       .domain = "ai.onnx.preview.training",
       .attributes = {{"norm_coefficient", 0.01F}},
       .inputs = {f32({}, {0.1F}), i64({}, {2}), f32({2}, {-0.88F, -0.22F}), f32({1}, {-0.35F}),
                  f32({2}, {-0.7F, 0.63F}), f32({1}, {-0.24F}), f32({2}, {0.98F, 0.59F}),
                  f32({1}, {0.61F})},
       .want = {f32({2}, {-0.8217842F, -0.283284F}), f32({1}, {-0.32023606F}),
                f32({2}, {1.4823973F, 0.98413277F}), f32({1}, {0.6692923F})}},
      {.name = "doubles",
       .op = "Momentum",
       .domain = "ai.onnx.preview.training",
       .attributes =
           {{"norm_coefficient", 0.001F}, {"alpha", 0.95F}, {"beta", 0.5F}, {"mode", "standard"}},
       .inputs = {f64({}, {0.1}), i64({}, {2}), f64({2}, {0.28, 0.35}), f64({2}, {-0.7, -0.12}),
                  f64({2}, {-0.52, -0.2})},
       .want = {f64({2}, {0.36438599937944677, 0.3749824997607502}),
                f64({2}, {-0.8438599937944673, -0.24982499760750215})}},
      {.name = "lacks_state",
       .op = "Adam",
       .domain = "ai.onnx.preview.training",
       .inputs = {f32({}, {1}), i64({}, {0}), f32({1}, {1}), f32({1}, {1}), f32({1}, {1})},
       .error = "expected 2 and 4 for each variable"},
  };
}

INSTANTIATE_TEST_SUITE_P(Update, OpTest, testing::ValuesIn(update_cases()), case_name);

}  // namespace
}  // namespace treadle::test

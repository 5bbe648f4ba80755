// Update rules: 100 steps in double beside an independent transcription, element by element.
#include "training/updates.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "graph/ops/op.h"

namespace treadle {
namespace {

constexpr int64_t kSize = 5;
constexpr double kRate = 0.05;

Type doubles(Shape shape) { return Type::tensor(DType::kDouble, std::move(shape)); }

// w, g, rate, step, slots… -> w, slots…
Graph graph_of(const UpdateOptions& given) {
  const UpdateOptions options = checked(given);
  Graph g;
  Builder b(g);
  const auto input = [&](const char* name, Shape shape) {
    return Expr(b, g.add_input(name, doubles(std::move(shape))));
  };
  UpdateInputs in{
      input("w", {kSize}), input("g", {kSize}), input("rate", {}), input("step", {}), {}, 1};
  for (const SlotDef& slot : update_slots(options)) in.slots.push_back(input(slot.name, {kSize}));
  in.gradient = clip_gradients(options, {in.gradient})[0];
  const Updated updated = add_update(options, in);
  g.add_output("new_w", updated.parameter.id());
  for (size_t i = 0; i < updated.slots.size(); ++i) {
    g.add_output(cat("new_slot", i), updated.slots[i].id());
  }
  verify(g);
  return g;
}

// Another gradient at each step, that depends on w.
double gradient(double w, size_t i, int t) {
  return std::sin(static_cast<double>(i) + 0.7 * t) + 0.3 * w;
}

using Vector = std::vector<double>;
// One step over whole vectors; `state` is whatever the rule keeps, of 3 vectors.
using Reference =
    std::function<void(Vector& w, const Vector& g, int t, std::vector<Vector>& state)>;

void expect_trajectory(const UpdateOptions& options, const Reference& reference) {
  const Graph graph = graph_of(options);
  Vector w(kSize), want;
  for (size_t i = 0; i < w.size(); ++i) w[i] = 0.4 * static_cast<double>(i) - 0.9;
  want = w;
  std::vector<Vector> state(3, Vector(kSize, 0.0));
  std::vector<Value> slots;
  for (const SlotDef& slot : update_slots(checked(options))) {
    slots.push_back(Tensor::of<double>({kSize}, Vector(kSize, slot.initial)));
  }
  for (int t = 1; t <= 100; ++t) {
    Vector g(kSize);
    for (size_t i = 0; i < g.size(); ++i) g[i] = gradient(want[i], i, t);
    std::vector<Value> inputs = {Tensor::of<double>({kSize}, w), Tensor::of<double>({kSize}, g),
                                 Tensor::scalar(kRate), Tensor::scalar<double>(t)};
    inputs.insert(inputs.end(), slots.begin(), slots.end());
    const std::vector<Value> outputs = evaluate(graph, inputs);
    w = outputs[0].tensor().to_doubles();
    slots.assign(outputs.begin() + 1, outputs.end());
    reference(want, g, t, state);
    for (size_t i = 0; i < w.size(); ++i) {
      ASSERT_NEAR(w[i], want[i], 1e-12 * std::max(1.0, std::abs(want[i])))
          << options.rule << ", step " << t << ", element " << i;
    }
  }
}

UpdateOptions rule(const char* name) {
  UpdateOptions o;
  o.rule = name;
  return o;
}

// Applies f(w, g, t, a, b, c) to each element.
Reference each(std::function<void(double&, double, int, double&, double&, double&)> f) {
  return [f](Vector& w, const Vector& g, int t, std::vector<Vector>& s) {
    for (size_t i = 0; i < w.size(); ++i) f(w[i], g[i], t, s[0][i], s[1][i], s[2][i]);
  };
}

TEST(Updates, Sgd) {
  expect_trajectory(rule("sgd"), each([](double& w, double g, int, double&, double&, double&) {
                      w -= kRate * g;
                    }));
}

TEST(Updates, MomentumWithCoupledDecay) {
  UpdateOptions o = rule("momentum");
  o.weight_decay = 0.02;
  expect_trajectory(o, each([](double& w, double g, int t, double& v, double&, double&) {
                      g += 0.02 * w;
                      v = t == 1 ? g : 0.9 * v + g;
                      w -= kRate * v;
                    }));
}

TEST(Updates, Nesterov) {
  UpdateOptions o = rule("nesterov");
  o.momentum = 0.8;
  expect_trajectory(o, each([](double& w, double g, int, double& v, double&, double&) {
                      v = 0.8 * v + g;
                      w -= kRate * (g + 0.8 * v);
                    }));
}

TEST(Updates, AdaGrad) {
  expect_trajectory(rule("adagrad"),
                    each([](double& w, double g, int, double& h, double&, double&) {
                      h += g * g;
                      w -= kRate * g / (std::sqrt(h) + 1e-10);
                    }));
}

TEST(Updates, RmsProp) {
  expect_trajectory(rule("rmsprop"),
                    each([](double& w, double g, int, double& h, double&, double&) {
                      h = 0.99 * h + 0.01 * g * g;
                      w -= kRate * g / (std::sqrt(h) + 1e-8);
                    }));
}

TEST(Updates, RmsPropWithMomentum) {
  UpdateOptions o = rule("rmsprop");
  o.momentum = 0.5;
  o.rho = 0.9;
  expect_trajectory(o, each([](double& w, double g, int, double& h, double& v, double&) {
                      h = 0.9 * h + 0.1 * g * g;
                      v = 0.5 * v + g / (std::sqrt(h) + 1e-8);
                      w -= kRate * v;
                    }));
}

TEST(Updates, AdaDelta) {
  expect_trajectory(rule("adadelta"),
                    each([](double& w, double g, int, double& h, double& u, double&) {
                      h = 0.9 * h + 0.1 * g * g;
                      const double d = std::sqrt(u + 1e-6) / std::sqrt(h + 1e-6) * g;
                      u = 0.9 * u + 0.1 * d * d;
                      w -= kRate * d;
                    }));
}

double adam_direction(double g, int t, double& m, double& h, double epsilon) {
  m += (g - m) * (1 - 0.9);
  h = 0.999 * h + 0.001 * g * g;
  const double first = m / (1 - std::pow(0.9, t));
  const double second = h / (1 - std::pow(0.999, t));
  return first / (std::sqrt(second) + epsilon);
}

TEST(Updates, Adam) {
  UpdateOptions o = rule("adam");
  o.weight_decay = 0.01;
  expect_trajectory(o, each([](double& w, double g, int t, double& m, double& h, double&) {
                      w -= kRate * adam_direction(g + 0.01 * w, t, m, h, 1e-8);
                    }));
}

TEST(Updates, AdamW) {
  UpdateOptions o = rule("adamw");
  o.weight_decay = 0.01;
  expect_trajectory(o, each([](double& w, double g, int t, double& m, double& h, double&) {
                      w *= 1 - kRate * 0.01;
                      w -= kRate * adam_direction(g, t, m, h, 1e-8);
                    }));
}

TEST(Updates, Lion) {
  UpdateOptions o = rule("lion");
  o.weight_decay = 0.1;
  expect_trajectory(o, each([](double& w, double g, int, double& m, double&, double&) {
                      const double c = 0.9 * m + 0.1 * g;
                      w *= 1 - kRate * 0.1;
                      w -= kRate * (c > 0 ? 1 : c < 0 ? -1 : 0);
                      m = 0.99 * m + 0.01 * g;
                    }));
}

double length(const Vector& x) {
  double square = 0;
  for (const double v : x) square += v * v;
  return std::sqrt(square);
}

TEST(Updates, Lamb) {
  UpdateOptions o = rule("lamb");
  o.weight_decay = 0.05;
  expect_trajectory(o, [](Vector& w, const Vector& g, int t, std::vector<Vector>& s) {
    Vector u(w.size());
    for (size_t i = 0; i < w.size(); ++i) {
      u[i] = adam_direction(g[i], t, s[0][i], s[1][i], 1e-6) + 0.05 * w[i];
    }
    const double ratio = length(w) / length(u);
    for (size_t i = 0; i < w.size(); ++i) w[i] -= kRate * ratio * u[i];
  });
}

TEST(Updates, LambOfZerosTakesAPlainStep) {
  const Graph g = graph_of(rule("lamb"));
  const Tensor zeros = Tensor::zeros(DType::kDouble, {kSize});
  const Tensor ones = Tensor::of<double>({kSize}, Vector(kSize, 1));
  const auto outputs =
      evaluate(g, {zeros, ones, Tensor::scalar(kRate), Tensor::scalar(1.0), zeros, zeros});
  EXPECT_NEAR(outputs[0].tensor().data<double>()[0], -kRate / (1 + 1e-6), 1e-12);
}

TEST(Updates, ClipByValueAndByNorm) {
  UpdateOptions o = rule("sgd");
  o.clip_value = 0.5;
  expect_trajectory(o, each([](double& w, double g, int, double&, double&, double&) {
                      w -= kRate * std::clamp(g, -0.5, 0.5);
                    }));
  o.clip_value = 0;
  o.clip_norm = 0.75;
  expect_trajectory(o, [](Vector& w, const Vector& g, int, std::vector<Vector>&) {
    const double scale = std::min(1.0, 0.75 / (length(g) + 1e-6));
    for (size_t i = 0; i < w.size(); ++i) w[i] -= kRate * scale * g[i];
  });
}

TEST(Updates, NormIsOfAllGradientsTogether) {
  Graph g;
  Builder b(g);
  UpdateOptions o = rule("sgd");
  o.clip_norm = 1;
  const Expr x(b, g.add_input("x", doubles({1}))), y(b, g.add_input("y", doubles({2})));
  for (const Expr& e : clip_gradients(o, {x, y})) g.add_output("", e.id());
  const auto got = evaluate(g, {Tensor::of<double>({1}, {2}), Tensor::of<double>({2}, {3, 6})});
  EXPECT_NEAR(got[0].tensor().data<double>()[0], 2.0 / 7, 1e-7);
  EXPECT_NEAR(got[1].tensor().data<double>()[1], 6.0 / 7, 1e-6);
}

TEST(Updates, RefuseWhatTheyDoNotKnow) {
  const auto message = [](const UpdateOptions& o) {
    try {
      checked(o);
    } catch (const Error& e) {
      return std::string(e.what());
    }
    return std::string();
  };
  EXPECT_NE(message(rule("adamm")).find("did you mean 'adam'"), std::string::npos);
  UpdateOptions o = rule("adam");
  o.beta2 = 1;
  EXPECT_NE(message(o).find("beta2 is 1"), std::string::npos);
  o = rule("sgd");
  o.weight_decay = -1;
  EXPECT_NE(message(o).find("weight decay is -1"), std::string::npos);
}

TEST(Updates, PatternsMatchNames) {
  EXPECT_TRUE(matches("*", ""));
  EXPECT_TRUE(matches("*.bias", "layer1.0.bias"));
  EXPECT_TRUE(matches("layer?.*.weight", "layer1.0.conv.weight"));
  EXPECT_TRUE(matches("a*b*c", "aXbYbZc"));
  EXPECT_FALSE(matches("*.bias", "layer1.0.weight"));
  EXPECT_FALSE(matches("layer?", "layer12"));
  EXPECT_FALSE(matches("", "x"));
  EXPECT_FALSE(matches(std::string(30, '*') + "b", std::string(3000, 'a')));
}

}  // namespace
}  // namespace treadle

// Operators that are added: gradients by the operators that they name.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "graph/ops/added.h"
#include "graph/text.h"
#include "tests/support/tensors.h"
#include "training/differences.h"
#include "training/trainer.h"

namespace treadle::test {
namespace {

using ::testing::HasSubstr;

std::string error_of(const std::function<void()>& run) {
  try {
    run();
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

// y[i] = f(c, i) of doubles.
template <class F>
void fill(EvalContext& c, F&& f) {
  Tensor& y = c.output(0, c.input(0).dims());
  for (int64_t i = 0; i < y.count(); ++i) {
    y.data<double>()[static_cast<size_t>(i)] = f(static_cast<size_t>(i));
  }
}
double element(const EvalContext& c, size_t input, size_t i) {
  return c.input(input).data<double>()[i];
}

// Powers (X) -> (Y, Z): factor · x³ and x².
void eval_powers(EvalContext& c) {
  const double factor = c.attributes().f("factor", 1);
  fill(c, [&](size_t i) { return factor * std::pow(element(c, 0, i), 3); });
  if (!c.wants(1)) return;
  Tensor& z = c.output(1, c.input(0).dims());
  for (size_t i = 0; i < z.data<double>().size(); ++i) {
    z.data<double>()[i] = std::pow(element(c, 0, i), 2);
  }
}

// PowersGradient (dY, dZ, X, Y, Z) -> (dX)
void eval_powers_gradient(EvalContext& c) {
  const double factor = c.attributes().f("factor", 1);
  fill(c, [&](size_t i) {
    const double x = element(c, 2, i);
    return 3 * factor * x * x * element(c, 0, i) + 2 * x * element(c, 1, i);
  });
}

void infer_powers(InferContext& c) {
  for (size_t i = 0; i < c.outputs().size(); ++i) c.set_shape(i, c.shape(0));
}

std::shared_ptr<const AddedOps> operators(const std::string& gradient) {
  auto ops = std::make_shared<AddedOps>();
  const auto add = [&](const char* kind, const char* inputs, const char* outputs,
                       const char* attributes, EvalFn eval, const std::string& named) {
    NewOp op;
    op.row = {.kind = kind, .inputs = inputs, .outputs = outputs, .types = "T=double"};
    op.row.attributes = attributes;
    op.row.infer = infer_powers;
    op.row.eval = eval;
    op.row.domain = "test";
    op.gradient = named;
    op.make_state = [](const Node&) { return std::make_shared<int>(0); };
    ops->add(op);
  };
  add("Powers", "X:T", "Y:T Z?:T", "factor:f=1 note:s", eval_powers, gradient);
  add("PowersGradient", "dY:T dZ:T X:T Y:T Z:T", "dX:T", "factor:f=1", eval_powers_gradient, "");
  return ops;
}

// The graph of the text, where Split is Powers.
Graph graph_of(const char* text, const AddedOps& ops) {
  Graph graph = parse(text);
  const std::function<void(Graph&)> put = [&](Graph& g) {
    for (NodeId id : g.topological_order()) {
      Node node = g.node(id);
      for (Subgraph& s : node.subgraphs) put(*s.graph);
      if (!node.is("Split")) continue;
      node.op = ops.find("Powers", "test");
      node.attributes = {{"factor", 0.5f}, {"note", std::string("is not the gradient's")}};
      ops.prepare(node);
      const std::vector<ValueId> old = node.outputs;
      for (ValueId& v : node.outputs) v = g.add_value(g.value(v).name + "'");
      const std::vector<ValueId> made = node.outputs;
      g.add_node(std::move(node));
      for (size_t i = 0; i < old.size(); ++i) g.replace_uses(old[i], made[i]);
      g.remove_node(id);
    }
  };
  put(graph);
  annotate(graph);
  return graph;
}

double relative_error(const char* text, std::vector<Value> inputs) {
  const auto ops = operators("test.PowersGradient");
  const GradientRequest request{.outputs = {"y"}, .wrt = {"x"}, .operators = ops};
  return compare_with_differences(graph_of(text, *ops), request, inputs).at(0).relative;
}

constexpr const char* kOne = R"(f (double[3] x) => (double[3] y) {
  a = Sin (x)
  y = Split <num_outputs = 1> (a)
})";

TEST(AddedGradient, IsTheOperatorThatTheRowNames) {
  EXPECT_LT(relative_error(kOne, {f64({3}, {1, -2, 0.5})}), 1e-6);
}

TEST(AddedGradient, OfSeveralOutputs) {
  constexpr const char* kTwo = R"(f (double[3] x) => (double[3] y) {
    a, b = Split <num_outputs = 2> (x)
    y = Sub (b, a)
  })";
  EXPECT_LT(relative_error(kTwo, {f64({3}, {1, -2, 0.5})}), 1e-6);
  constexpr const char* kSecond = R"(f (double[3] x) => (double[3] y) {
    a, y = Split <num_outputs = 2> (x)
  })";
  EXPECT_LT(relative_error(kSecond, {f64({3}, {1, -2, 0.5})}), 1e-6);
}

TEST(AddedGradient, InABody) {
  constexpr const char* kBody = R"(f (double[3] x, bool c) => (double[3] y) {
    y = If (c) <
      then_branch = g () => (p) { p = Split <num_outputs = 1> (x) },
      else_branch = g () => (n) { n = Neg (x) }
    >
  })";
  for (const bool taken : {true, false}) {
    EXPECT_LT(relative_error(kBody, {f64({3}, {1, -2, 0.5}), Tensor::scalar<bool>(taken)}), 1e-6);
  }
}

TEST(AddedGradient, IsRefusedWhereThereIsNone) {
  const auto refusal = [](const std::string& gradient, bool given) {
    const auto ops = operators(gradient);
    GradientRequest request{.outputs = {"y"}, .wrt = {"x"}};
    if (given) request.operators = ops;
    return error_of([&] { autodiff(graph_of(kOne, *ops), request); });
  };
  EXPECT_THAT(refusal("", true), HasSubstr("test.Powers: this operator has no gradient"));
  EXPECT_THAT(refusal("test.Nothing", true), HasSubstr("its gradient test.Nothing is no added"));
  EXPECT_THAT(refusal("test.PowersGradient", false), HasSubstr("is no added operator"));
}

TEST(AddedGradient, OfASecondOrderIsThatOfTheGradientsRow) {
  const auto ops = operators("test.PowersGradient");
  const GradientRequest request{.outputs = {"y"}, .wrt = {"x"}, .operators = ops};
  const Graph first = autodiff(graph_of(kOne, *ops), request);
  const GradientRequest twice{.outputs = {"grad_x"}, .wrt = {"x"}, .operators = ops};
  EXPECT_THAT(error_of([&] { autodiff(first, twice); }),
              HasSubstr("(test.PowersGradient): this operator has no gradient"));
}

constexpr const char* kTrained = R"(f (double[1] x) => (double[1] y) <double[1] w = {2}> {
  a = Mul (x, w)
  y = Split <num_outputs = 1> (a)
})";

// d(y - 0)²/dw = 2 · y · 1.5 · (xw)² · x at x = 1, w = 2: y = 4, so 48.
TEST(AddedGradient, Trains) {
  TrainerOptions options;
  options.joint.operators = operators("test.PowersGradient");
  options.schedule.rate = 0.01;
  Trainer trainer(graph_of(kTrained, *options.joint.operators), options);
  const std::vector<NamedValue> batch = {{"x", f64({1}, {1})}, {"target", f64({1}, {0})}};
  EXPECT_DOUBLE_EQ(trainer.step(batch).loss, 16);
  EXPECT_NEAR(trainer.variable("w").data<double>()[0], 2 - 0.48, 1e-6);
  EXPECT_THAT(print(trainer.exported()), HasSubstr("test.Powers"));
}

// A model with Gradient nodes is trained as it is run.
TEST(AddedGradient, TrainsThroughGradientNodes) {
  Trainer trainer(parse(R"(f (float[1] x) => (float[1] y) <float[1] w = {3}> {
    p = Mul (w, x)
    s = Mul (p, p)
    y = ai.onnx.preview.training.Gradient <xs = ["p"], y = "s"> (p)
  })"));
  const std::vector<NamedValue> batch = {{"x", f32({1}, {1})}, {"target", f32({1}, {0})}};
  EXPECT_EQ(trainer.step(batch).loss, 36);  // y = 2wx
}

}  // namespace
}  // namespace treadle::test

// Gradients of losses over classes. An ignored position has none, whatever it is divided by.
#include <numeric>

#include "training/gradients/families.h"

namespace treadle {
namespace {

using Context = GradientContext;

// The targets of a loss over scores [batch, classes, …].
struct Targets {
  Expr chosen;   // bool, of the scores' shape: the target of the position
  Expr ignored;  // bool, of the targets' shape; undefined where none is
  Expr weight;   // of the position, 0 where ignored; undefined where all count as 1
};

bool defined(const Expr& e) { return e.id().valid(); }

// Up to so many classes are told apart as floats, which any other number misses too.
constexpr int64_t kFloatClasses = int64_t{1} << 24;

// The targets as numbers that run along with the scores, where that is exact.
Expr as_numbers(const Expr& scores, const Expr& target) {
  const Dim count = scores.shape()[1];
  const bool few = count.known() && count.value() < kFloatClasses;
  if (!few) return target;
  return cast(target, scores.dtype() == DType::kDouble ? DType::kDouble : DType::kFloat);
}

// 0, 1, 2 … along axis 1.
Expr class_numbers(const Expr& scores, DType dtype) {
  const Dim count = scores.shape()[1];
  std::vector<int64_t> shape(static_cast<size_t>(scores.rank()) - 1, 1);
  if (count.known()) {
    std::vector<double> numbers(static_cast<size_t>(count.value()));
    std::iota(numbers.begin(), numbers.end(), 0);
    shape[0] = count.value();
    return cast({scores.builder(), scores.builder().constant(Tensor::of<double>(shape, numbers))},
                dtype);
  }
  Builder& b = scores.builder();
  const Expr zero(b, b.scalar(DType::kInt64, 0));
  const Expr one(b, b.scalar(DType::kInt64, 1));
  const Expr range = zero.op("Range", {squeeze(size_of(scores, 1), {0}), one});
  shape[0] = -1;
  return cast(range.op("Reshape", {scores.ints(shape)}), dtype);
}

Targets targets(Context& c) {
  const Expr scores = c.x(0);
  const Expr target = c.x(1);
  Targets t;
  const Expr number = as_numbers(scores, target);
  t.chosen = equal(unsqueeze(number, {1}), class_numbers(scores, number.dtype()));
  if (c.attributes().has("ignore_index")) {
    t.ignored = equal(number, static_cast<double>(c.attributes().i("ignore_index", 0)));
  }
  if (c.has(2)) {
    const Expr known = defined(t.ignored) ? where(t.ignored, 0, target) : target;
    t.weight = c.x(2).op("Gather", {known});
    if (defined(t.ignored)) t.weight = where(t.ignored, 0, t.weight);
  } else if (defined(t.ignored)) {
    t.weight = where(t.ignored, scores.number(0), scores.number(1));
  }
  return t;
}

bool is_mean(const Context& c) { return c.attributes().s("reduction", "mean") == "mean"; }

// What the loss's own gradient weighs every position with: a scalar, or one a position.
Expr incoming(Context& c, const Targets& t) {
  if (!is_mean(c)) return c.gy();
  const Attributes all{{"keepdims", int64_t{0}}};
  const Expr total =
      defined(t.weight) ? t.weight.op("ReduceSum", all) : count_of(c.x(1), c.x(0).dtype());
  return c.gy() / total;
}

// Minus the gradient of the score that is chosen, to broadcast along the scores.
Expr per_position(const Targets& t, const Expr& incoming) {
  Expr g = defined(t.weight) ? t.weight * incoming : incoming;
  if (defined(t.ignored)) g = where(t.ignored, 0, g);
  return g.rank() == 0 ? g : unsqueeze(g, {1});
}

// The sum, over the positions that have the class, of what the position's weight is multiplied by.
Expr weight_gradient(Context& c, const Targets& t, const Expr& logs, const Expr& incoming) {
  const Expr off = is_mean(c) ? -logs - c.y(0) : -logs;
  const Expr g = incoming.rank() == 0 ? incoming : unsqueeze(incoming, {1});
  Expr share = where(t.chosen, off * g, 0);
  if (defined(t.ignored)) share = where(unsqueeze(t.ignored, {1}), 0, share);
  std::vector<int64_t> axes(static_cast<size_t>(logs.rank()) - 1);
  std::iota(axes.begin(), axes.end(), 1);
  axes[0] = 0;
  return sum(share, axes, false);
}

void negative_log_likelihood(Context& c) {
  const Targets t = targets(c);
  const Expr in = incoming(c, t);
  if (c.wants(0)) c.set(0, where(t.chosen, -per_position(t, in), 0));
  if (c.wants(2)) c.set(2, weight_gradient(c, t, c.x(0), in));
}

void softmax_cross_entropy(Context& c) {
  const Expr logs = c.y(1);
  const Expr p = logs.op("Exp");
  Expr g;
  if (c.has_gy(0)) {
    const Targets t = targets(c);
    const Expr in = incoming(c, t);
    g = (p - cast(t.chosen, p.dtype())) * per_position(t, in);
    if (c.wants(2)) c.set(2, weight_gradient(c, t, logs, in));
  }
  if (c.has_gy(1)) {
    const Expr part = c.gy(1) - p * sum(c.gy(1), {1});
    g = defined(g) ? g + part : part;
  }
  c.set(0, g);
}

constexpr GradientDef kRules[] = {
    {"NegativeLogLikelihoodLoss", negative_log_likelihood},
    {"SoftmaxCrossEntropyLoss", softmax_cross_entropy},
};

}  // namespace

std::span<const GradientDef> loss_gradients() { return kRules; }

}  // namespace treadle

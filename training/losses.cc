#include "training/losses.h"

#include <algorithm>

#include "graph/base/suggestion.h"

namespace treadle {
namespace {

struct LossDef {
  const char* kind;
  bool of_classes;
  Expr (*build)(const LossOptions&, const Expr& x, const Expr& t);
};

Expr reduced(const LossOptions& options, const Expr& x) {
  const bool mean = options.reduction == Reduction::kMean;
  return x.op(mean ? "ReduceMean" : "ReduceSum", {{"keepdims", int64_t{0}}});
}

// As a scalar.
Expr class_count(const Expr& x) { return cast(squeeze(size_of(x, 1), {0}), x.dtype()); }

Attributes class_attributes(const LossOptions& options) {
  const bool mean = options.reduction == Reduction::kMean;
  Attributes a = {{"reduction", std::string(mean ? "mean" : "sum")}};
  if (options.ignore_index) a.set("ignore_index", *options.ignore_index);
  return a;
}

Expr class_weights(const LossOptions& options, const Expr& x) {
  const auto count = static_cast<int64_t>(options.class_weights.size());
  const Expr wide(x.builder(),
                  x.builder().constant(Tensor::of<double>({count}, options.class_weights)));
  return cast(wide, x.dtype());
}

Expr of_classes(const char* op, const LossOptions& options, const Expr& x, const Expr& t) {
  std::vector<Expr> others = {t};
  if (!options.class_weights.empty()) others.push_back(class_weights(options, x));
  return x.op(op, others, class_attributes(options));
}

Expr nll(const LossOptions& options, const Expr& x, const Expr& t) {
  return of_classes("NegativeLogLikelihoodLoss", options, x, t);
}

// The mean over the classes of -log p, weighted and reduced as the class's own term is.
Expr smooth_part(const LossOptions& options, const Expr& logs, const Expr& t) {
  Expr counted = expand_like(logs.number(1), t);
  Expr classes = t;  // an ignored target may be no class at all
  if (options.ignore_index) {
    const Expr ignored = equal(t, static_cast<double>(*options.ignore_index));
    counted = where(ignored, 0, counted);
    classes = where(ignored, 0, t);
  }
  Expr each = logs;
  Expr norm = counted;
  if (!options.class_weights.empty()) {
    const Expr weights = class_weights(options, logs);
    std::vector<int64_t> shape(logs.shape().size(), 1);
    shape[1] = static_cast<int64_t>(options.class_weights.size());
    each = each * reshape(weights, logs.ints(shape));
    norm = weights.op("Gather", {classes}) * counted;
  }
  const Attributes all = {{"keepdims", int64_t{0}}};
  const Expr total = (sum(each, {1}, false) * counted).op("ReduceSum", all);
  const Expr spread = -total / class_count(logs);
  return options.reduction == Reduction::kSum ? spread : spread / norm.op("ReduceSum", all);
}

Expr cross_entropy(const LossOptions& options, const Expr& x, const Expr& t) {
  const double s = options.label_smoothing;
  if (s == 0) return of_classes("SoftmaxCrossEntropyLoss", options, x, t);
  const Expr logs = x.op("LogSoftmax", {{"axis", int64_t{1}}});
  return (1 - s) * nll(options, logs, t) + s * smooth_part(options, logs, t);
}

Expr mse(const LossOptions& options, const Expr& x, const Expr& t) {
  return reduced(options, square(x - t));
}

Expr l1(const LossOptions& options, const Expr& x, const Expr& t) {
  return reduced(options, (x - t).op("Abs"));
}

Expr huber(const LossOptions& options, const Expr& x, const Expr& t) {
  const Expr d = x - t;
  const Expr size = d.op("Abs");
  const double delta = options.delta;
  return reduced(options, where(less(size, delta), 0.5 * square(d), delta * (size - 0.5 * delta)));
}

Expr bce_with_logits(const LossOptions& options, const Expr& x, const Expr& t) {
  return reduced(options, x.op("Softplus") - x * t);
}

Expr kl(const LossOptions& options, const Expr& x, const Expr& t) {
  const Expr positive = less(0, t);
  const Expr logs = where(positive, t, 1).op("Log");
  return reduced(options, where(positive, t * (logs - x), 0.0 * x));
}

Expr hinge(const LossOptions& options, const Expr& x, const Expr& t) {
  const double margin = options.delta;
  const Expr index = unsqueeze(t, {1});
  const Expr own = x.op("GatherElements", {index}, {{"axis", int64_t{1}}});
  const Expr beyond = ((x - own) + margin).op("Relu");
  // The target's own term is the margin.
  const Expr each = sum(beyond, {1}, false) - margin;
  return reduced(options, each / class_count(x));
}

Expr output(const LossOptions& options, const Expr& x, const Expr&) {
  const Type type = x.type();
  return type.shape && type.shape->empty() ? x : reduced(options, x);
}

constexpr LossDef kLosses[] = {
    {"cross_entropy", true, cross_entropy},
    {"nll", true, nll},
    {"mse", false, mse},
    {"l1", false, l1},
    {"huber", false, huber},
    {"bce_with_logits", false, bce_with_logits},
    {"kl", false, kl},
    {"hinge", true, hinge},
    {"output", false, output},
};

const LossDef& find_loss(const std::string& kind) {
  for (const LossDef& def : kLosses) {
    if (def.kind == kind) return def;
  }
  fail(Code::kInvalidArgument, "there is no loss '", kind, "'", suggestion(kind, loss_kinds()));
}

void check_options(const LossOptions& options) {
  const bool scores = options.kind == "cross_entropy";
  TREADLE_CHECK(options.label_smoothing == 0 || scores, kInvalidArgument, "loss '", options.kind,
                "' has no label smoothing: cross_entropy has");
  TREADLE_CHECK(options.label_smoothing >= 0 && options.label_smoothing <= 1, kInvalidArgument,
                "label smoothing is ", options.label_smoothing, ", expected 0 to 1");
  const bool weighted = scores || options.kind == "nll";
  TREADLE_CHECK(weighted || (options.class_weights.empty() && !options.ignore_index),
                kInvalidArgument, "loss '", options.kind,
                "' has neither class weights nor an ignored class: cross_entropy and nll have");
  TREADLE_CHECK(options.delta > 0, kInvalidArgument, "the loss's delta is ", options.delta,
                ", expected above 0");
}

}  // namespace

std::vector<std::string> loss_kinds() {
  std::vector<std::string> kinds;
  for (const LossDef& def : kLosses) kinds.emplace_back(def.kind);
  return kinds;
}

std::optional<Type> loss_target(const LossOptions& options, const Type& out) {
  const LossDef& def = find_loss(options.kind);
  check_options(options);
  TREADLE_CHECK(out.is_tensor() && is_float(out.dtype), kInvalidArgument, "the output is ",
                out.text(), ": a loss needs floats");
  if (options.kind == "output") return std::nullopt;
  if (!def.of_classes) return out;
  TREADLE_CHECK(out.shape.has_value() && out.shape->size() >= 2, kInvalidArgument, "the output is ",
                out.text(), ": loss '", options.kind, "' needs scores [batch, classes, …]");
  const Dim classes = (*out.shape)[1];
  const auto weights = static_cast<int64_t>(options.class_weights.size());
  TREADLE_CHECK(weights == 0 || !classes.known() || classes.is(weights), kInvalidArgument, weights,
                " class weights for ", classes.text(), " classes");
  Shape shape = *out.shape;
  shape.erase(shape.begin() + 1);
  return Type::tensor(DType::kInt64, std::move(shape));
}

Expr add_loss(const LossOptions& options, const Expr& out, const Expr& target) {
  loss_target(options, out.type());
  return find_loss(options.kind).build(options, out, target);
}

}  // namespace treadle

// Losses over class indices: NegativeLogLikelihoodLoss, SoftmaxCrossEntropyLoss.
#include "graph/builder.h"
#include "graph/ops/arithmetic.h"
#include "graph/ops/cast.h"
#include "graph/ops/families.h"
#include "graph/ops/iterate.h"
#include "graph/ops/op.h"

namespace treadle {
namespace {

enum class Reduction : uint8_t { kNone, kMean, kSum };

Reduction reduction_of(const Attributes& a) {
  const std::string name = a.s("reduction", "mean");
  if (name == "none") return Reduction::kNone;
  TREADLE_CHECK(name == "mean" || name == "sum", kInvalidModel, "attribute 'reduction' is '", name,
                "', expected none, mean or sum");
  return name == "mean" ? Reduction::kMean : Reduction::kSum;
}

// [batch, classes, rest…] without the classes.
template <class D>
std::vector<D> without_classes(const std::vector<D>& dims) {
  TREADLE_CHECK(dims.size() >= 2, kInvalidModel, "expected [batch, classes, …], got ",
                shape_text(dims));
  std::vector<D> rest = dims;
  rest.erase(rest.begin() + 1);
  return rest;
}

// The loss of log-probabilities [batch, classes, rest…] (double) at the targets.
Tensor loss_of(EvalContext& c, const Tensor& logs) {
  const AxisSplit s = split_axis(logs.dims(), 1);
  const Tensor& target = c.input(1);
  TREADLE_CHECK(target.dims() == without_classes(logs.dims()), kInvalidArgument,
                "the targets have shape ", shape_text(target.dims()), ", expected ",
                shape_text(without_classes(logs.dims())));
  const std::vector<double> weights =
      c.has(2) ? c.input(2).to_doubles() : std::vector<double>(static_cast<size_t>(s.size), 1);
  TREADLE_CHECK(static_cast<int64_t>(weights.size()) == s.size, kInvalidArgument, weights.size(),
                " weights for ", s.size, " classes");
  const bool ignores = c.attributes().has("ignore_index");
  const int64_t ignored = c.attributes().i("ignore_index", 0);
  const std::vector<int64_t> classes = target.to_ints();
  Tensor losses = Tensor::zeros(DType::kDouble, target.dims());
  double total = 0;
  double total_weight = 0;
  for (size_t i = 0; i < classes.size(); ++i) {
    if (ignores && classes[i] == ignored) continue;
    TREADLE_CHECK(classes[i] >= 0 && classes[i] < s.size, kInvalidData, "target ", classes[i],
                  " of ", s.size, " classes");
    const int64_t outer = static_cast<int64_t>(i) / s.inner;
    const int64_t inner = static_cast<int64_t>(i) % s.inner;
    const double weight = weights[static_cast<size_t>(classes[i])];
    const double loss =
        -weight *
        logs.data<double>()[static_cast<size_t>((outer * s.size + classes[i]) * s.inner + inner)];
    losses.data<double>()[i] = loss;
    total += loss;
    total_weight += weight;
  }
  const Reduction reduction = reduction_of(c.attributes());
  if (reduction == Reduction::kNone) return losses;
  return Tensor::scalar<double>(reduction == Reduction::kMean ? total / total_weight : total);
}

void eval_negative_log_likelihood(EvalContext& c) {
  const Tensor wide = loss_of(c, cast_tensor(c.input(0), DType::kDouble));
  copy_elements(cast_tensor(wide, c.dtype(0)), c.output(0, wide.dims()));
}

std::vector<ValueId> decompose_softmax_cross_entropy(Builder& b, const Node& node) {
  const ValueId logs = b.op("LogSoftmax", {node.input(0)}, {{"axis", int64_t{1}}});
  std::vector<ValueId> inputs = {logs, node.input(1)};
  if (node.input(2).valid()) inputs.push_back(node.input(2));
  return {b.op("NegativeLogLikelihoodLoss", inputs, node.attributes), logs};
}

void infer_loss(InferContext& c) {
  c.set_shape(
      0, reduction_of(c.attributes()) == Reduction::kNone ? without_classes(c.shape(0)) : Shape{});
  c.set_shape(1, c.shape(0));
}

constexpr const char* kLossTypes = "T=floats Tind=int32,int64";
constexpr const char* kLossAttributes = "ignore_index:i reduction:s=mean";

constexpr OpDef kRows[] = {
    {.kind = "NegativeLogLikelihoodLoss",
     .inputs = "input:T target:Tind weight?:T",
     .outputs = "loss:T",
     .types = kLossTypes,
     .attributes = kLossAttributes,
     .infer = infer_loss,
     .eval = eval_negative_log_likelihood},
    {.kind = "SoftmaxCrossEntropyLoss",
     .inputs = "scores:T labels:Tind weights?:T",
     .outputs = "output:T log_prob?:T",
     .types = kLossTypes,
     .attributes = kLossAttributes,
     .infer = infer_loss,
     .decompose = decompose_softmax_cross_entropy},
};

}  // namespace

std::span<const OpDef> loss_ops() { return kRows; }

}  // namespace treadle

// What the training form of BatchNormalization and its gradient sum over a batch, as operators for
// backends; defined by what they equal.
#include "graph/builder.h"
#include "graph/ops/expect.h"
#include "graph/ops/gradient_families.h"
#include "graph/ops/op.h"

namespace treadle {
namespace {

void infer_per_channel(InferContext& c) {
  const Dim channels = c.rank(0) > 1 ? c.shape(0)[1] : Dim(1);
  for (size_t i = 0; i < c.output_count(); ++i) c.set_shape(i, {channels});
}

void infer_batch_sums(InferContext& c) {
  infer_per_channel(c);
  expect_shape(c, 1, c.shape(0));
  expect_shape(c, 2, *c.outputs()[0].type.shape);
}

// Of a tensor [batch, channels, …]; one of rank 1 is of one channel.
class PerChannel {
 public:
  PerChannel(Builder& b, ValueId x) : b_(b) {
    const auto& shape = b.type(x).shape;
    TREADLE_CHECK(shape.has_value(), kUnsupported, "the rank is not known before the run");
    for (size_t i = 0; i < shape->size(); ++i) {
      if (i != 1) axes_.push_back(static_cast<int64_t>(i));
      if (i > 1) across_.push_back(1);
    }
  }
  ValueId reduce(std::string_view kind, ValueId x) const {
    const ValueId y = b_.op(kind, {x, b_.ints(axes_)}, {{"keepdims", int64_t{0}}});
    return b_.op("Reshape", {y, b_.ints({-1})});
  }
  // x - mean.
  ValueId centred(ValueId x, ValueId mean) const {
    return b_.op("Sub", {x, b_.op("Reshape", {mean, b_.ints(across_)})});
  }

 private:
  Builder& b_;
  std::vector<int64_t> axes_;
  std::vector<int64_t> across_ = {-1};
};

std::vector<ValueId> decompose_batch_statistics(Builder& b, const Node& node) {
  const ValueId x = node.input(0);
  const PerChannel p(b, x);
  const ValueId mean = p.reduce("ReduceMean", x);
  const ValueId difference = p.centred(x, mean);
  return {mean, p.reduce("ReduceMean", b.op("Mul", {difference, difference}))};
}

std::vector<ValueId> decompose_batch_sums(Builder& b, const Node& node) {
  const ValueId dy = node.input(0);
  const PerChannel p(b, dy);
  const ValueId product = b.op("Mul", {dy, p.centred(node.input(1), node.input(2))});
  return {p.reduce("ReduceSum", dy), p.reduce("ReduceSum", product)};
}

constexpr OpDef kRows[] = {
    {.kind = "BatchStatistics",  // over all axes but 1; the variance is the population's
     .inputs = "X:T",
     .outputs = "mean:T var:T",
     .types = "T=floats",
     .infer = infer_per_channel,
     .decompose = decompose_batch_statistics,
     .domain = "treadle"},
    {.kind = "BatchSums",  // over all axes but 1, of DY and of DY * (X - mean)
     .inputs = "DY:T X:T mean:T",
     .outputs = "sum:T product:T",
     .types = "T=floats",
     .infer = infer_batch_sums,
     .decompose = decompose_batch_sums,
     .domain = "treadle"},
};

}  // namespace

std::span<const OpDef> norm_gradient_ops() { return kRows; }

}  // namespace treadle

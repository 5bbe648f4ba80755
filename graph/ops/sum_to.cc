// treadle.SumTo: the reverse of broadcasting, where the axes to sum are known at run time only.
#include "graph/builder.h"
#include "graph/ops/families.h"
#include "graph/ops/op.h"

namespace treadle {
namespace {

void infer_sum_to(InferContext& c) {
  if (const std::vector<Dim>* dims = c.values(1)) return c.set_shape(0, *dims);
  const Shape& length = c.shape(1);
  if (length.size() == 1 && length[0].known()) {
    c.set_shape(0, Shape(static_cast<size_t>(length[0].value()), Dim::unknown()));
  }
}

void eval_sum_to(EvalContext& c) {
  const Tensor& x = c.input(0);
  const Dims to = c.input(1).to_ints();
  for (int64_t d : to) TREADLE_CHECK(d >= 0, kInvalidData, "a size of ", d, " is asked for");
  const Dims strides = broadcast_strides(to, x.dims());
  Tensor& y = c.output(0, to);
  dispatch(x.dtype(), FloatTypes{}, [&]<class T>() {
    const auto in = x.data<T>();
    std::vector<double> sums(static_cast<size_t>(y.count()));
    Dims index(x.dims().size());
    int64_t at = 0;
    for (const T& element : in) {
      sums[static_cast<size_t>(at)] += static_cast<double>(element);
      for (size_t d = index.size(); d-- > 0;) {
        at += strides[d];
        if (++index[d] < x.dims()[d]) break;
        at -= strides[d] * x.dims()[d];
        index[d] = 0;
      }
    }
    auto out = y.data<T>();
    for (size_t i = 0; i < out.size(); ++i) {
      if constexpr (is_reduced_float<T>) {
        out[i] = T(static_cast<float>(sums[i]));
      } else {
        out[i] = static_cast<T>(sums[i]);
      }
    }
  });
}

// The shape wanted, with ones in front, differs from x's where there is something to sum.
std::vector<ValueId> decompose_sum_to(Builder& b, const Node& node) {
  const ValueId x = node.input(0);
  const ValueId to = node.input(1);
  const ValueId from = b.op("Shape", {x});
  const ValueId added = b.op("Sub", {b.op("Size", {from}), b.op("Size", {to})});
  const ValueId ones =
      b.op("Expand", {b.scalar(DType::kInt64, 1), b.op("Reshape", {added, b.ints({1})})});
  const ValueId padded = b.op("Concat", {ones, to}, {{"axis", int64_t{0}}});
  const ValueId differs = b.op("Not", {b.op("Equal", {from, padded})});
  const ValueId axes = b.op("Reshape", {b.op("NonZero", {differs}), b.ints({-1})});
  const ValueId summed = b.op("ReduceSum", {x, axes}, {{"noop_with_empty_axes", int64_t{1}}});
  return {b.op("Reshape", {summed, to}, {{"allowzero", int64_t{1}}})};
}

constexpr OpDef kRows[] = {
    {.kind = "SumTo",
     .inputs = "X:T shape:int64",
     .outputs = "Y:T",
     .types = "T=floats",
     .infer = infer_sum_to,
     .eval = eval_sum_to,
     .decompose = decompose_sum_to,
     .domain = "treadle"},
};

}  // namespace

std::span<const OpDef> sum_to_ops() { return kRows; }

}  // namespace treadle

// Gradients of MaxPool and AveragePool, as operators of their own for backends; defined by what
// they equal.
#include <algorithm>
#include <optional>

#include "graph/builder.h"
#include "graph/ops/cast.h"
#include "graph/ops/conv_params.h"
#include "graph/ops/gradient_families.h"
#include "graph/ops/op.h"

namespace treadle {
namespace {

// Of DY, and the X of a pool with the same attributes.
void infer_pool_grad(InferContext& c) { c.set_shape(0, c.shape(1)); }

ValueId flattened(Builder& b, ValueId x) { return b.op("Reshape", {x, b.ints({-1})}); }

// To the first of the largest cells.
std::vector<ValueId> decompose_max_pool_grad(Builder& b, const Node& node) {
  Attributes attributes = node.attributes;
  attributes.erase("storage_order");
  const ValueId x = node.input(1);
  const ValueId indices = b.add("MaxPool", {x}, attributes, 2)[1];
  const ValueId count = b.op("Reshape", {b.op("Size", {x}), b.ints({1})});
  const ValueId zeros = b.op("Expand", {b.scalar(b.type(x).dtype, 0), count});
  const ValueId sums =
      b.op("ScatterElements", {zeros, flattened(b, indices), flattened(b, node.input(0))},
           {{"reduction", "add"}});
  return {b.op("Reshape", {sums, b.op("Shape", {x})}, {{"allowzero", int64_t{1}}})};
}

// Of an input of these sizes; kUnsupported where they are not known.
PoolParams params_before_run(const Builder& b, const Node& node, ValueId x) {
  const auto& shape = b.type(x).shape;
  TREADLE_CHECK(shape.has_value(), kUnsupported, "the rank is not known before the run");
  Shape plane = *shape;
  std::fill_n(plane.begin(), std::min<size_t>(2, plane.size()), Dim(1));
  const std::optional<Dims> dims = concrete(plane);
  TREADLE_CHECK(dims.has_value(), kUnsupported, "the sizes are known at run time only");
  return pool_params(node.attributes, *dims);
}

// How many cells each output is the mean of, [1, 1, spatial…].
Tensor counted(const PoolParams& p, DType dtype) {
  Tensor counts(DType::kDouble, p.output_dims());
  const int64_t length = p.output.back();
  const auto to = counts.data<double>();
  for (size_t i = 0; i < to.size(); ++i) {
    const auto at = static_cast<int64_t>(i);
    to[i] = p.counted_in_row(at / length) *
            static_cast<double>(p.counted_on_axis(p.rank() - 1, at % length));
  }
  return cast_tensor(counts, dtype);
}

Tensor ones(DType dtype, const Dims& dims) {
  Tensor t(DType::kDouble, dims);
  std::fill(t.data<double>().begin(), t.data<double>().end(), 1.0);
  return cast_tensor(t, dtype);
}

// Each output's share goes to the cells of its window: a ConvTranspose of each plane by ones.
std::vector<ValueId> decompose_average_pool_grad(Builder& b, const Node& node) {
  const ValueId x = node.input(1);
  const PoolParams p = params_before_run(b, node, x);
  const DType dtype = b.type(x).dtype;
  Dims planes = p.output_dims();
  const ValueId to = b.op("Shape", {x});
  if (element_count(p.input) == 0) return {b.op("Expand", {b.scalar(dtype, 0), to})};
  planes[0] = -1;
  Dims kernel = {1, 1};
  kernel.insert(kernel.end(), p.kernel.begin(), p.kernel.end());
  Dims pads(2 * p.rank(), 0);
  Dims unused(p.rank(), 0);
  Dims before(2 * (p.rank() + 2), 0);  // cells that the first window leaves out
  for (size_t i = 0; i < p.rank(); ++i) {
    pads[i] = std::max<int64_t>(0, p.pads_begin[i]);
    pads[p.rank() + i] = std::max<int64_t>(0, p.reach_end(i));
    unused[i] = std::max<int64_t>(0, -p.reach_end(i));
    before[2 + i] = std::max<int64_t>(0, -p.pads_begin[i]);
  }
  const ValueId shares = b.op("Div", {node.input(0), b.constant(counted(p, dtype))});
  ValueId sums = b.op("ConvTranspose",
                      {b.op("Reshape", {shares, b.ints(planes)}), b.constant(ones(dtype, kernel))},
                      {{"strides", p.strides},
                       {"dilations", p.dilations},
                       {"pads", pads},
                       {"output_padding", unused}});
  if (std::ranges::any_of(before, [](int64_t n) { return n > 0; }))
    sums = b.op("Pad", {sums, b.ints(before)});
  return {b.op("Reshape", {sums, to}, {{"allowzero", int64_t{1}}})};
}

constexpr OpDef kRows[] = {
    {.kind = "MaxPoolGrad",
     .inputs = "DY:T X:T",
     .outputs = "DX:T",
     .types = "T=floats",
     .attributes =
         "auto_pad:s=NOTSET ceil_mode:i=0 dilations:is kernel_shape:is! pads:is storage_order:i=0 "
         "strides:is",
     .infer = infer_pool_grad,
     .decompose = decompose_max_pool_grad,
     .domain = "treadle"},
    {.kind = "AveragePoolGrad",
     .inputs = "DY:T X:T",
     .outputs = "DX:T",
     .types = "T=floats",
     .attributes = "auto_pad:s=NOTSET ceil_mode:i=0 count_include_pad:i=0 dilations:is "
                   "kernel_shape:is! pads:is "
                   "strides:is",
     .infer = infer_pool_grad,
     .decompose = decompose_average_pool_grad,
     .domain = "treadle"},
};

}  // namespace

std::span<const OpDef> pool_gradient_ops() { return kRows; }

}  // namespace treadle

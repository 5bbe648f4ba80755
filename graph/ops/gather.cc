// Gather, GatherElements, GatherND: blocks of elements picked by index.
#include <algorithm>

#include "graph/ops/families.h"
#include "graph/ops/gather.h"
#include "graph/ops/move.h"
#include "graph/ops/op.h"

namespace treadle {

std::vector<int64_t> element_offsets(const Dims& dims, const Tensor& indices, int64_t axis) {
  const auto at = static_cast<size_t>(resolve_axis(axis, static_cast<int64_t>(dims.size())));
  TREADLE_CHECK(indices.dims().size() == dims.size(), kInvalidData, "'indices' has rank ",
                indices.rank(), ", the data ", dims.size());
  for (size_t d = 0; d < dims.size(); ++d) {
    TREADLE_CHECK(d == at || indices.dim(d) <= dims[d], kInvalidData, "'indices' has shape ",
                  shape_text(indices.dims()), ", which does not fit into ", shape_text(dims));
  }
  const Dims strides = strides_of(dims);
  const std::vector<int64_t> ints = indices.to_ints();
  std::vector<int64_t> offsets;
  offsets.reserve(ints.size());
  Dims index;
  for (size_t i = 0; i < ints.size(); ++i) {
    unravel(static_cast<int64_t>(i), indices.dims(), index);
    index[at] = checked_index(ints[i], dims[at]);
    int64_t offset = 0;
    for (size_t d = 0; d < dims.size(); ++d) offset += index[d] * strides[d];
    offsets.push_back(offset);
  }
  return offsets;
}

std::vector<int64_t> tuple_offsets(const Dims& dims, const Tensor& indices, int64_t batch_dims) {
  const Dims& shape = indices.dims();
  TREADLE_CHECK(
      !shape.empty() && batch_dims >= 0 && batch_dims < static_cast<int64_t>(shape.size()),
      kInvalidData, "'indices' has shape ", shape_text(shape), " for ", batch_dims,
      " batch dimensions");
  const auto batch = static_cast<size_t>(batch_dims);
  const int64_t tuple = shape.back();
  TREADLE_CHECK(tuple >= 0 && tuple <= static_cast<int64_t>(dims.size()) - batch_dims, kInvalidData,
                "index tuples of ", tuple, " for ", dims.size(), " dimensions, ", batch_dims,
                " of them batch");
  for (size_t d = 0; d < batch; ++d) {
    TREADLE_CHECK(dims[d] == shape[d], kInvalidData, "batch dimension ", d, " is ", dims[d],
                  " in the data, ", shape[d], " in 'indices'");
  }
  const Dims strides = strides_of(dims);
  const std::vector<int64_t> ints = indices.to_ints();
  const int64_t count = product(shape, 0, shape.size() - 1);
  const int64_t per_batch = std::max<int64_t>(1, product(shape, batch, shape.size() - 1));
  const int64_t batch_stride = product(dims, batch, dims.size());
  std::vector<int64_t> offsets;
  offsets.reserve(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) {
    int64_t offset = i / per_batch * batch_stride;
    for (int64_t k = 0; k < tuple; ++k) {
      const size_t d = batch + static_cast<size_t>(k);
      offset += checked_index(ints[static_cast<size_t>(i * tuple + k)], dims[d]) * strides[d];
    }
    offsets.push_back(offset);
  }
  return offsets;
}

namespace {

// ---- Gather

void gather_values(InferContext& c) {
  const auto* values = c.values(0);
  const auto indices = c.ints(1);
  if (values == nullptr || !indices || c.rank(0) != 1 || c.rank(1) > 1) return;
  std::vector<Dim> out;
  for (int64_t i : *indices) {
    out.push_back(
        (*values)[static_cast<size_t>(checked_index(i, static_cast<int64_t>(values->size())))]);
  }
  c.set_values(0, std::move(out));
}

void infer_gather(InferContext& c) {
  const Shape& data = c.shape(0);
  const ptrdiff_t axis = resolve_axis(c.attributes().i("axis", 0), c.rank(0));
  Shape out(data.begin(), data.begin() + axis);
  out.insert(out.end(), c.shape(1).begin(), c.shape(1).end());
  out.insert(out.end(), data.begin() + axis + 1, data.end());
  c.set_shape(0, out);
  gather_values(c);
}

void eval_gather(EvalContext& c) {
  const Tensor& data = c.input(0);
  const Tensor& indices = c.input(1);
  const auto axis = static_cast<size_t>(resolve_axis(c.attributes().i("axis", 0), data.rank()));
  Dims dims(data.dims().begin(), data.dims().begin() + static_cast<ptrdiff_t>(axis));
  dims.insert(dims.end(), indices.dims().begin(), indices.dims().end());
  dims.insert(dims.end(), data.dims().begin() + static_cast<ptrdiff_t>(axis) + 1,
              data.dims().end());
  std::vector<int64_t> picks = indices.to_ints();
  for (int64_t& i : picks) i = checked_index(i, data.dim(axis));
  const AxisSplit split = split_axis(data.dims(), static_cast<int64_t>(axis));
  move_elements({&data}, c.output(0, dims), [&]<class T>(const std::vector<const T*>& from, T* to) {
    for (int64_t o = 0; o < split.outer; ++o) {
      for (int64_t i : picks)
        to = std::copy_n(from[0] + (o * split.size + i) * split.inner, split.inner, to);
    }
  });
}

// ---- GatherElements, GatherND

void gather_blocks(const Tensor& data, const std::vector<int64_t>& offsets, int64_t run,
                   Tensor& out) {
  move_elements({&data}, out, [&]<class T>(const std::vector<const T*>& from, T* to) {
    for (int64_t offset : offsets) to = std::copy_n(from[0] + offset, run, to);
  });
}

void infer_gather_elements(InferContext& c) {
  TREADLE_CHECK(!c.rank_known(0) || c.rank(0) == c.rank(1), kInvalidModel, "'indices' has rank ",
                c.rank(1), ", the data ", c.rank(0));
  c.set_shape(0, c.shape(1));
}

void eval_gather_elements(EvalContext& c) {
  const Tensor& data = c.input(0);
  const Tensor& indices = c.input(1);
  const std::vector<int64_t> offsets =
      element_offsets(data.dims(), indices, c.attributes().i("axis", 0));
  gather_blocks(data, offsets, 1, c.output(0, indices.dims()));
}

void infer_gather_nd(InferContext& c) {
  const Shape& data = c.shape(0);
  const Shape& indices = c.shape(1);
  TREADLE_CHECK(!indices.empty(), kInvalidModel, "'indices' is a scalar");
  if (!indices.back().known()) return;
  const int64_t used = checked_add(indices.back().value(), c.attributes().i("batch_dims", 0));
  TREADLE_CHECK(used >= 0 && used <= c.rank(0), kInvalidModel, "index tuples of ",
                indices.back().value(), " for ", c.rank(0), " dimensions");
  Shape out(indices.begin(), indices.end() - 1);
  out.insert(out.end(), data.begin() + static_cast<ptrdiff_t>(used), data.end());
  c.set_shape(0, out);
}

void eval_gather_nd(EvalContext& c) {
  const Tensor& data = c.input(0);
  const Tensor& indices = c.input(1);
  const int64_t batch_dims = c.attributes().i("batch_dims", 0);
  const std::vector<int64_t> offsets = tuple_offsets(data.dims(), indices, batch_dims);
  const ptrdiff_t used = batch_dims + indices.dims().back();
  Dims dims(indices.dims().begin(), indices.dims().end() - 1);
  dims.insert(dims.end(), data.dims().begin() + used, data.dims().end());
  const int64_t run = product(data.dims(), static_cast<size_t>(used), data.dims().size());
  gather_blocks(data, offsets, run, c.output(0, dims));
}

constexpr OpDef kRows[] = {
    {.kind = "Gather",
     .inputs = "data:T indices:Tind",
     .outputs = "output:T",
     .types = "T=all Tind=int32,int64",
     .attributes = "axis:i=0",
     .infer = infer_gather,
     .eval = eval_gather},
    {.kind = "GatherElements",
     .inputs = "data:T indices:Tind",
     .outputs = "output:T",
     .types = "T=all Tind=int32,int64",
     .attributes = "axis:i=0",
     .infer = infer_gather_elements,
     .eval = eval_gather_elements},
    {.kind = "GatherND",
     .inputs = "data:T indices:int64",
     .outputs = "output:T",
     .types = "T=all",
     .attributes = "batch_dims:i=0",
     .infer = infer_gather_nd,
     .eval = eval_gather_nd},
};

}  // namespace

std::span<const OpDef> gather_ops() { return kRows; }

}  // namespace treadle

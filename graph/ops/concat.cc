// Concat and Split.
#include <algorithm>

#include "graph/ops/families.h"
#include "graph/ops/move.h"
#include "graph/ops/op.h"
#include "graph/ops/split.h"
#include "graph/ops/stack.h"

namespace treadle {

std::vector<Dim> split_sizes(const Dim& dim, const std::vector<Dim>* sizes, size_t parts) {
  TREADLE_CHECK(parts > 0, kInvalidModel, "a split in no parts");
  if (sizes != nullptr) {
    TREADLE_CHECK(sizes->size() == parts, kInvalidModel, sizes->size(), " sizes for ", parts,
                  " outputs");
    Dim sum = 0;
    for (const Dim& s : *sizes) {
      TREADLE_CHECK(!s.known() || s.value() >= 0, kInvalidData, "a part of size ", s.value());
      sum = sum + s;
    }
    TREADLE_CHECK(!sum.known() || !dim.known() || sum == dim, kInvalidData, "the parts ",
                  shape_text(*sizes), " do not add up to ", dim.text());
    return *sizes;
  }
  const auto count = static_cast<int64_t>(parts);
  std::vector<Dim> out(parts, Dim::ceil_div(dim, count));
  if (!dim.known()) {
    // Divisible or not, only the last differs.
    if (parts > 1) out.back() = dim - out[0] * Dim(count - 1);
    return out;
  }
  int64_t left = dim.value();
  for (Dim& d : out) {
    d = std::min(d.value(), left);
    left -= d.value();
  }
  return out;
}

Dims concat_dims(const std::vector<const Tensor*>& parts, int64_t axis) {
  TREADLE_CHECK(!parts.empty(), kInvalidData, "nothing to concatenate");
  const Tensor& first = *parts.front();
  Dims dims = first.dims();
  const auto at = static_cast<size_t>(resolve_axis(axis, first.rank()));
  dims[at] = 0;
  for (const Tensor* t : parts) {
    Dims own = t->dims();
    TREADLE_CHECK(own.size() == dims.size(), kInvalidData, "ranks ", dims.size(), " and ",
                  own.size());
    const int64_t size = std::exchange(own[at], dims[at]);
    TREADLE_CHECK(own == dims && t->dtype() == first.dtype(), kInvalidData,
                  dtype_name(first.dtype()), shape_text(first.dims()), " and ",
                  dtype_name(t->dtype()), shape_text(t->dims()), " differ beside axis ", at);
    dims[at] = checked_add(dims[at], size);
  }
  return dims;
}

void concat_tensors(const std::vector<const Tensor*>& parts, int64_t axis, Tensor& out) {
  const AxisSplit split = split_axis(out.dims(), axis);
  const auto at = static_cast<size_t>(resolve_axis(axis, out.rank()));
  move_elements(parts, out, [&]<class T>(const std::vector<const T*>& from, T* to) {
    for (int64_t o = 0; o < split.outer; ++o) {
      for (size_t i = 0; i < from.size(); ++i) {
        const int64_t run = parts[i]->dim(at) * split.inner;
        to = std::copy_n(from[i] + o * run, run, to);
      }
    }
  });
}

namespace {

// ---- Concat

void concat_values(InferContext& c) {
  std::vector<Dim> all;
  for (size_t i = 0; i < c.input_count(); ++i) {
    if (c.dtype(i) != DType::kInt64 && c.dtype(i) != DType::kInt32) return;
    if (const auto* values = c.values(i)) {
      all.insert(all.end(), values->begin(), values->end());
    } else {
      const Dim& count = c.shape(i)[0];
      if (!count.known() || count.value() > kMaxRank) return;
      all.insert(all.end(), static_cast<size_t>(count.value()), Dim::unknown());
    }
  }
  c.set_values(0, std::move(all));
}

void infer_concat(InferContext& c) {
  TREADLE_CHECK(c.input_count() > 0, kInvalidModel, "no inputs");
  Shape out = c.shape(0);
  const auto axis = static_cast<size_t>(resolve_axis(c.attributes().i("axis", 0), c.rank(0)));
  for (size_t i = 1; i < c.input_count(); ++i) {
    const Shape& s = c.shape(i);
    TREADLE_CHECK(s.size() == out.size(), kInvalidModel, "ranks ", out.size(), " and ", s.size());
    for (size_t d = 0; d < s.size(); ++d) {
      if (d == axis) {
        out[d] = out[d] + s[d];
      } else if (!out[d].known()) {
        out[d] = s[d];  // they must be equal: keep the one that says more
      } else {
        TREADLE_CHECK(!s[d].known() || s[d] == out[d], kInvalidModel, "shapes ",
                      shape_text(c.shape(0)), " and ", shape_text(s), " differ beside axis ", axis);
      }
    }
  }
  c.set_shape(0, out);
  if (out.size() == 1) concat_values(c);
}

void eval_concat(EvalContext& c) {
  std::vector<const Tensor*> inputs;
  for (size_t i = 0; i < c.input_count(); ++i) inputs.push_back(&c.input(i));
  const int64_t axis = c.attributes().i("axis", 0);
  concat_tensors(inputs, axis, c.output(0, concat_dims(inputs, axis)));
}

// ---- Split

size_t part_count(const Attributes& attributes, size_t outputs) {
  const int64_t given = attributes.i("num_outputs", static_cast<int64_t>(outputs));
  TREADLE_CHECK(given == static_cast<int64_t>(outputs), kInvalidModel, "num_outputs is ", given,
                ", but there are ", outputs, " outputs");
  return outputs;
}

void infer_split(InferContext& c) {
  const Shape& shape = c.shape(0);
  const auto axis = static_cast<size_t>(resolve_axis(c.attributes().i("axis", 0), c.rank(0)));
  const size_t parts = part_count(c.attributes(), c.output_count());
  const std::vector<Dim>* given = c.values(1);
  const std::vector<Dim> sizes = c.has(1) && given == nullptr
                                     ? std::vector<Dim>(parts, Dim::unknown())
                                     : split_sizes(shape[axis], given, parts);
  const auto* values = c.values(0);
  size_t at = 0;
  for (size_t i = 0; i < parts; ++i) {
    Shape part = shape;
    part[axis] = sizes[i];
    c.set_shape(i, part);
    if (values == nullptr || !sizes[i].known()) continue;
    const auto begin = values->begin() + static_cast<ptrdiff_t>(at);
    at += static_cast<size_t>(sizes[i].value());
    if (is_static(sizes)) c.set_values(i, {begin, values->begin() + static_cast<ptrdiff_t>(at)});
  }
}

void eval_split(EvalContext& c) {
  const Tensor& x = c.input(0);
  const auto axis = static_cast<size_t>(resolve_axis(c.attributes().i("axis", 0), x.rank()));
  const size_t parts = part_count(c.attributes(), c.output_count());
  std::vector<Dim> given;
  if (c.has(1)) {
    for (int64_t s : c.input(1).to_ints()) given.emplace_back(s);
  }
  const std::vector<Dim> sizes = split_sizes(x.dim(axis), c.has(1) ? &given : nullptr, parts);
  const Dims strides = strides_of(x.dims());
  int64_t at = 0;
  for (size_t i = 0; i < parts; ++i) {
    Dims dims = x.dims();
    dims[axis] = sizes[i].value();
    if (c.wants(i)) copy_strided(x, strides, at * strides[axis], c.output(i, dims));
    at += sizes[i].value();
  }
}

constexpr OpDef kRows[] = {
    {.kind = "Concat",
     .inputs = "inputs*:T",
     .outputs = "concat_result:T",
     .types = "T=all",
     .attributes = "axis:i!",
     .infer = infer_concat,
     .eval = eval_concat},
    {.kind = "Split",
     .inputs = "input:T split?:int64",
     .outputs = "outputs*:T",
     .types = "T=all",
     .attributes = "axis:i=0 num_outputs:i",
     .infer = infer_split,
     .eval = eval_split},
};

}  // namespace

std::span<const OpDef> concat_ops() { return kRows; }

}  // namespace treadle

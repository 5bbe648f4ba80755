// Operators that give the same elements another shape, and those that tell the shape.
#include "graph/ops/reshape.h"

#include <algorithm>

#include "graph/ops/axes.h"
#include "graph/ops/families.h"
#include "graph/ops/move.h"
#include "graph/ops/op.h"

namespace treadle {
namespace {

Dim product_of(const Shape& shape) {
  Dim result = 1;
  for (const Dim& d : shape) result = result * d;
  return result;
}

// What -1 stands for: the input's elements over those of the other dims. Equal dims are cancelled
// first, so that [N, 0, 3] asked to become [0, 0, -1] is [N, 0, 3], and symbols need not be
// divided.
Dim remaining_dim(Shape input, Shape others, const std::string& what, Code code) {
  for (auto it = others.begin(); it != others.end();) {
    const auto same = std::find(input.begin(), input.end(), *it);
    if (same == input.end()) {
      ++it;
    } else {
      input.erase(same);
      it = others.erase(it);
    }
  }
  const Dim numerator = product_of(input);
  const Dim denominator = product_of(others);
  if (denominator.is(0)) fail(code, what, ": -1 has no single value beside a dimension of 0");
  if (numerator.known() && denominator.known() && numerator.value() % denominator.value() != 0) {
    fail(code, what, ": the element counts do not divide");
  }
  return Dim::floor_div(numerator, denominator);
}

}  // namespace

Shape reshape_shape(const Shape& input, const std::vector<Dim>& target, bool allow_zero,
                    Code code) {
  const std::string what = cat("cannot reshape ", shape_text(input), " to ", shape_text(target));
  Shape out = target;
  Shape rest = input;  // of the input's dims, those not copied by a 0
  Shape others;        // of the output's dims, those neither copied nor inferred
  std::vector<size_t> copied;
  std::optional<size_t> inferred;
  for (size_t i = 0; i < target.size(); ++i) {
    if (target[i].is(-1)) {
      if (inferred) fail(code, what, ": more than one -1");
      inferred = i;
    } else if (target[i].is(0) && !allow_zero) {
      if (i >= input.size()) fail(code, what, ": the 0 at ", i, " has no input dimension to copy");
      out[i] = input[i];
      copied.push_back(i);
    } else {
      if (target[i].known() && target[i].value() < 0) fail(code, what, ": negative dimension");
      others.push_back(target[i]);
    }
  }
  for (size_t i = copied.size(); i-- > 0;)
    rest.erase(rest.begin() + static_cast<ptrdiff_t>(copied[i]));
  if (inferred) {
    if (allow_zero &&
        std::any_of(target.begin(), target.end(), [](const Dim& d) { return d.is(0); })) {
      fail(code, what, ": with allowzero, -1 and 0 exclude each other");
    }
    out[*inferred] = remaining_dim(rest, others, what, code);
  } else {
    const Dim before = product_of(rest);
    const Dim after = product_of(others);
    const bool empty = std::ranges::any_of(copied, [&](size_t i) { return input[i].is(0); });
    if (before.known() && after.known() && !(before == after) && !empty)
      fail(code, what, ": the element counts differ");
  }
  return out;
}

std::vector<int64_t> resolve_axes(std::vector<int64_t> axes, int64_t rank) {
  axes = distinct_axes(std::move(axes), rank);
  std::sort(axes.begin(), axes.end());
  return axes;
}

namespace {

void pass_values(InferContext& c) {
  if (const auto* values = c.values(0)) c.set_values(0, *values);
}

Dims from_symbols(const Shape& shape) { return *concrete(shape); }

void copy_as(EvalContext& c, const Dims& dims) { copy_elements(c.input(0), c.output(0, dims)); }

// ---- Reshape, Flatten

void infer_reshape(InferContext& c) {
  pass_values(c);
  const bool allow_zero = c.attributes().i("allowzero", 0) != 0;
  if (const auto* target = c.values(1)) {
    if (c.rank_known(0))
      return c.set_shape(0, reshape_shape(c.shape(0), *target, allow_zero, Code::kInvalidModel));
    Shape shape = *target;
    for (Dim& d : shape) {
      if (d.is(-1) || (d.is(0) && !allow_zero)) d = Dim::unknown();
    }
    return c.set_shape(0, shape);
  }
  const Shape& lengths = c.shape(1);
  TREADLE_CHECK(lengths.size() == 1, kInvalidModel, "'shape' has rank ", lengths.size(),
                ", expected 1");
  if (lengths[0].known() && lengths[0].value() <= kMaxRank) {
    c.set_shape(0, Shape(static_cast<size_t>(lengths[0].value()), Dim::unknown()));
  }
}

void eval_reshape(EvalContext& c) {
  const std::vector<int64_t> ints = c.input(1).to_ints();
  const std::vector<Dim> target(ints.begin(), ints.end());
  const bool allow_zero = c.attributes().i("allowzero", 0) != 0;
  copy_as(c, from_symbols(reshape_shape(symbolic(c.input(0).dims()), target, allow_zero,
                                        Code::kInvalidData)));
}

Shape flat_shape(const Shape& shape, int64_t axis) {
  const auto rank = static_cast<int64_t>(shape.size());
  TREADLE_CHECK(axis >= -rank && axis <= rank, kInvalidModel, "axis ", axis,
                " is out of range for rank ", rank);
  const ptrdiff_t at = axis < 0 ? axis + rank : axis;
  return {product_of({shape.begin(), shape.begin() + at}),
          product_of({shape.begin() + at, shape.end()})};
}

void infer_flatten(InferContext& c) {
  c.set_shape(0, flat_shape(c.shape(0), c.attributes().i("axis", 1)));
}

void eval_flatten(EvalContext& c) {
  copy_as(c, from_symbols(flat_shape(symbolic(c.input(0).dims()), c.attributes().i("axis", 1))));
}

// ---- Squeeze, Unsqueeze

// `axes` null: every dim that is 1.
Shape squeezed(const Shape& shape, const std::vector<int64_t>* axes) {
  const auto rank = static_cast<int64_t>(shape.size());
  Shape out;
  const std::vector<int64_t> dropped =
      axes != nullptr ? resolve_axes(*axes, rank) : std::vector<int64_t>{};
  for (int64_t i = 0; i < rank; ++i) {
    const Dim& d = shape[static_cast<size_t>(i)];
    const bool drop =
        axes != nullptr ? std::binary_search(dropped.begin(), dropped.end(), i) : d.is(1);
    TREADLE_CHECK(!drop || !d.known() || d.is(1), kInvalidModel, "cannot squeeze axis ", i, " of ",
                  shape_text(shape), ": it is not 1");
    if (!drop) out.push_back(d);
  }
  return out;
}

void infer_squeeze(InferContext& c) {
  pass_values(c);
  if (!c.has(1)) {
    // A symbol may turn out to be 1.
    if (is_static(c.shape(0))) c.set_shape(0, squeezed(c.shape(0), nullptr));
    return;
  }
  if (const auto axes = c.ints(1)) return c.set_shape(0, squeezed(c.shape(0), &*axes));
  const Shape& count = c.shape(1);
  // Where all axes go nothing is unknown of the shape, but the axes are still to be checked.
  if (count.size() == 1 && count[0].known() && count[0].value() < c.rank(0)) {
    c.set_shape(0,
                Shape(c.shape(0).size() - static_cast<size_t>(count[0].value()), Dim::unknown()));
  }
}

void eval_squeeze(EvalContext& c) {
  const Shape shape = symbolic(c.input(0).dims());
  if (!c.has(1)) return copy_as(c, from_symbols(squeezed(shape, nullptr)));
  const std::vector<int64_t> axes = c.input(1).to_ints();
  copy_as(c, from_symbols(squeezed(shape, &axes)));
}

Shape unsqueezed(const Shape& shape, const std::vector<int64_t>& axes) {
  const auto rank = static_cast<int64_t>(shape.size() + axes.size());
  TREADLE_CHECK(rank <= kMaxRank, kLimit, "rank ", rank, " is above the limit of ", kMaxRank);
  Shape out = shape;
  for (int64_t a : resolve_axes(axes, rank)) out.insert(out.begin() + a, Dim(1));
  return out;
}

void infer_unsqueeze(InferContext& c) {
  pass_values(c);
  if (const auto axes = c.ints(1)) return c.set_shape(0, unsqueezed(c.shape(0), *axes));
  const Shape& count = c.shape(1);
  if (count.size() == 1 && count[0].known() && count[0].value() <= kMaxRank) {
    c.set_shape(0,
                Shape(c.shape(0).size() + static_cast<size_t>(count[0].value()), Dim::unknown()));
  }
}

void eval_unsqueeze(EvalContext& c) {
  copy_as(c, from_symbols(unsqueezed(symbolic(c.input(0).dims()), c.input(1).to_ints())));
}

// ---- Shape, Size

// The range [start, end) of the dims that Shape tells.
std::pair<size_t, size_t> shape_range(const Attributes& attributes, size_t rank) {
  const auto r = static_cast<int64_t>(rank);
  const auto clamp = [r](int64_t i) {
    return static_cast<size_t>(std::clamp<int64_t>(i < 0 ? i + r : i, 0, r));
  };
  const size_t start = clamp(attributes.i("start", 0));
  return {start, std::max(start, clamp(attributes.i("end", r)))};
}

void infer_shape(InferContext& c) {
  const Shape& shape = c.shape(0);
  const auto [start, end] = shape_range(c.attributes(), shape.size());
  c.set_shape(0, {Dim(static_cast<int64_t>(end - start))});
  c.set_values(0, {shape.begin() + static_cast<ptrdiff_t>(start),
                   shape.begin() + static_cast<ptrdiff_t>(end)});
}

void eval_shape(EvalContext& c) {
  const Dims& dims = c.input(0).dims();
  const auto [start, end] = shape_range(c.attributes(), dims.size());
  Tensor& out = c.output(0, DType::kInt64, {static_cast<int64_t>(end - start)});
  for (size_t i = start; i < end; ++i) out.data<int64_t>()[i - start] = dims[i];
}

void infer_size(InferContext& c) {
  c.set_shape(0, {});
  c.set_values(0, {product_of(c.shape(0))});
}

void eval_size(EvalContext& c) {
  const int64_t count = c.input(0).count();
  c.output(0, DType::kInt64, {}).data<int64_t>()[0] = count;
}

// ---- Expand

Shape expanded(const Shape& shape, const Shape& target) {
  for (const Dim& d : target) {
    TREADLE_CHECK(!d.known() || d.value() >= 0, kInvalidData, "cannot expand to ",
                  shape_text(target));
  }
  return broadcast(shape, target);
}

void infer_expand(InferContext& c) {
  const Shape& input = c.shape(0);
  if (const auto* target = c.values(1)) return c.set_shape(0, expanded(input, *target));
  const Shape& count = c.shape(1);
  if (count.size() == 1 && count[0].known() && count[0].value() <= kMaxRank) {
    c.set_shape(0, broadcast(input, Shape(static_cast<size_t>(count[0].value()), Dim::unknown())));
  }
}

void eval_expand(EvalContext& c) {
  const Tensor& input = c.input(0);
  const Dims dims = from_symbols(expanded(symbolic(input.dims()), symbolic(c.input(1).to_ints())));
  copy_strided(input, broadcast_strides(input.dims(), dims), 0, c.output(0, dims));
}

constexpr OpDef kRows[] = {
    {.kind = "Reshape",
     .inputs = "data:T shape:int64",
     .outputs = "reshaped:T",
     .types = "T=all",
     .attributes = "allowzero:i=0",
     .infer = infer_reshape,
     .eval = eval_reshape},
    {.kind = "Flatten",
     .inputs = "input:T",
     .outputs = "output:T",
     .types = "T=all",
     .attributes = "axis:i=1",
     .infer = infer_flatten,
     .eval = eval_flatten},
    {.kind = "Squeeze",
     .inputs = "data:T axes?:int64",
     .outputs = "squeezed:T",
     .types = "T=all",
     .infer = infer_squeeze,
     .eval = eval_squeeze},
    {.kind = "Unsqueeze",
     .inputs = "data:T axes:int64",
     .outputs = "expanded:T",
     .types = "T=all",
     .infer = infer_unsqueeze,
     .eval = eval_unsqueeze},
    {.kind = "Shape",
     .inputs = "data:T",
     .outputs = "shape:int64",
     .types = "T=all",
     .attributes = "start:i=0 end:i",
     .infer = infer_shape,
     .eval = eval_shape},
    {.kind = "Size",
     .inputs = "data:T",
     .outputs = "size:int64",
     .types = "T=all",
     .infer = infer_size,
     .eval = eval_size},
    {.kind = "Expand",
     .inputs = "input:T shape:int64",
     .outputs = "output:T",
     .types = "T=all",
     .infer = infer_expand,
     .eval = eval_expand},
};

}  // namespace

std::span<const OpDef> reshape_ops() { return kRows; }

}  // namespace treadle

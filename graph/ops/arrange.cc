// Operators that keep, drop or reorder elements by a rule of their own: Trilu, ReverseSequence,
// Compress.
#include <algorithm>

#include "graph/ops/families.h"
#include "graph/ops/move.h"
#include "graph/ops/op.h"
#include "graph/ops/scalar.h"

namespace treadle {
namespace {

// ---- Trilu

void eval_trilu(EvalContext& c) {
  const Tensor& x = c.input(0);
  TREADLE_CHECK(x.rank() >= 2, kInvalidData, "the input has rank ", x.rank(),
                ", expected at least 2");
  const int64_t rows = x.dims()[x.dims().size() - 2];
  const int64_t columns = x.dims().back();
  const bool upper = c.attributes().i("upper", 1) != 0;
  const int64_t k = c.has(1) ? std::clamp(scalar_int(c, 1), -rows - 1, columns + 1) : 0;
  Tensor& out = c.output(0, x.dims());
  const int64_t matrices = product(x.dims(), 0, x.dims().size() - 2);
  move_elements({&x}, out, [&]<class T>(const std::vector<const T*>& from, T* to) {
    const T* in = from[0];
    for (int64_t i = 0; i < matrices * rows; ++i) {
      // The diagonal k divides the row: columns before the edge are below it.
      const int64_t edge = std::clamp<int64_t>(i % rows + k + (upper ? 0 : 1), 0, columns);
      for (int64_t j = 0; j < columns; ++j) *to++ = (j >= edge) == upper ? in[j] : T{};
      in += columns;
    }
  });
}

void infer_trilu(InferContext& c) {
  TREADLE_CHECK(c.rank(0) >= 2, kInvalidModel, "the input has rank ", c.rank(0),
                ", expected at least 2");
  infer_same_shape(c);
}

// ---- ReverseSequence

void eval_reverse_sequence(EvalContext& c) {
  const Tensor& x = c.input(0);
  const int64_t batch_axis = c.attributes().i("batch_axis", 1);
  const int64_t time_axis = c.attributes().i("time_axis", 0);
  TREADLE_CHECK(x.rank() >= 2 && batch_axis + time_axis == 1 && batch_axis * time_axis == 0,
                kInvalidModel, "batch_axis ", batch_axis, " and time_axis ", time_axis,
                " with rank ", x.rank(), ": expected 0 and 1 in some order");
  const std::vector<int64_t> lengths = c.input(1).to_ints();
  const int64_t batch = x.dim(static_cast<size_t>(batch_axis));
  const int64_t steps = x.dim(static_cast<size_t>(time_axis));
  TREADLE_CHECK(static_cast<int64_t>(lengths.size()) == batch, kInvalidData, "'sequence_lens' has ",
                lengths.size(), " entries for a batch of ", batch);
  for (int64_t n : lengths) {
    TREADLE_CHECK(n >= 0 && n <= steps, kInvalidData, "sequence length ", n,
                  " is out of range: expected 0 to ", steps);
  }
  const int64_t inner = product(x.dims(), 2, x.dims().size());
  const int64_t batch_stride = batch_axis == 0 ? steps * inner : inner;
  const int64_t time_stride = batch_axis == 0 ? inner : batch * inner;
  move_elements({&x}, c.output(0, x.dims()),
                [&]<class T>(const std::vector<const T*>& from, T* to) {
                  for (int64_t b = 0; b < batch; ++b) {
                    const int64_t length = lengths[static_cast<size_t>(b)];
                    for (int64_t t = 0; t < steps; ++t) {
                      const int64_t source = t < length ? length - 1 - t : t;
                      std::copy_n(from[0] + b * batch_stride + source * time_stride, inner,
                                  to + b * batch_stride + t * time_stride);
                    }
                  }
                });
}

// ---- Compress

void infer_compress(InferContext& c) {
  if (!c.attributes().has("axis")) return c.set_shape(0, {Dim::unknown()});
  Shape shape = c.shape(0);
  shape[static_cast<size_t>(resolve_axis(c.attributes().i("axis", 0), c.rank(0)))] = Dim::unknown();
  c.set_shape(0, shape);
}

void eval_compress(EvalContext& c) {
  const Tensor& x = c.input(0);
  const bool flat = !c.attributes().has("axis");
  const Dims dims = flat ? Dims{x.count()} : x.dims();
  const auto axis = static_cast<size_t>(
      resolve_axis(c.attributes().i("axis", 0), static_cast<int64_t>(dims.size())));
  const auto condition = c.input(1).data<bool>();
  std::vector<int64_t> kept;
  for (size_t i = 0; i < condition.size(); ++i) {
    if (!condition[i]) continue;
    TREADLE_CHECK(static_cast<int64_t>(i) < dims[axis], kInvalidData,
                  "the condition selects index ", i, " of a dimension of ", dims[axis]);
    kept.push_back(static_cast<int64_t>(i));
  }
  Dims out = dims;
  out[axis] = static_cast<int64_t>(kept.size());
  const int64_t outer = product(dims, 0, axis);
  const int64_t inner = product(dims, axis + 1, dims.size());
  move_elements({&x}, c.output(0, out), [&]<class T>(const std::vector<const T*>& from, T* to) {
    for (int64_t o = 0; o < outer; ++o) {
      for (int64_t i : kept) to = std::copy_n(from[0] + (o * dims[axis] + i) * inner, inner, to);
    }
  });
}

constexpr OpDef kRows[] = {
    {.kind = "Trilu",
     .inputs = "input:T k?:int64",
     .outputs = "output:T",
     .types = "T=all",
     .attributes = "upper:i=1",
     .infer = infer_trilu,
     .eval = eval_trilu},
    {.kind = "ReverseSequence",
     .inputs = "input:T sequence_lens:int64",
     .outputs = "Y:T",
     .types = "T=all",
     .attributes = "batch_axis:i=1 time_axis:i=0",
     .infer = infer_same_shape,
     .eval = eval_reverse_sequence},
    {.kind = "Compress",
     .inputs = "input:T condition:bool",
     .outputs = "output:T",
     .types = "T=all",
     .attributes = "axis:i",
     .infer = infer_compress,
     .eval = eval_compress,
     .traits = kDataDependent},
};

}  // namespace

std::span<const OpDef> arrange_ops() { return kRows; }

}  // namespace treadle

// ScatterElements, ScatterND, TensorScatter: blocks of elements written by index over a copy of the
// data.
#include <algorithm>
#include <cmath>

#include "graph/ops/families.h"
#include "graph/ops/gather.h"
#include "graph/ops/move.h"
#include "graph/ops/op.h"

namespace treadle {
namespace {

// Writes run i of `updates` at offsets[i] of `out`.
void scatter_blocks(const Tensor& data, const std::vector<int64_t>& offsets, const Tensor& updates,
                    int64_t run, Tensor& out) {
  move_elements({&data, &updates}, out, [&]<class T>(const std::vector<const T*>& from, T* to) {
    if (from[0] != to) std::copy_n(from[0], data.count(), to);
    const T* update = from[1];
    for (int64_t offset : offsets) {
      std::copy_n(update, run, to + offset);
      update += run;
    }
  });
}

template <class T, class F>
void reduce_blocks(const std::vector<int64_t>& offsets, const Tensor& updates, int64_t run,
                   Tensor& out, F&& f) {
  const T* update = updates.data<T>().data();
  T* to = out.data<T>().data();
  for (int64_t offset : offsets) {
    for (int64_t i = 0; i < run; ++i) to[offset + i] = static_cast<T>(f(to[offset + i], *update++));
  }
}

// Integers wrap; bools take sums as "or" and products as "and".
template <class T>
auto add(T a, T b) {
  if constexpr (std::is_same_v<T, bool>) {
    return a || b;
  } else if constexpr (std::is_integral_v<T>) {
    return static_cast<T>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
  } else {
    return Compute<T>(a) + Compute<T>(b);
  }
}
template <class T>
auto multiply(T a, T b) {
  if constexpr (std::is_same_v<T, bool>) {
    return a && b;
  } else if constexpr (std::is_integral_v<T>) {
    return static_cast<T>(static_cast<uint64_t>(a) * static_cast<uint64_t>(b));
  } else {
    return Compute<T>(a) * Compute<T>(b);
  }
}
// NaN wins.
template <class T>
T larger(T a, T b) {
  return a != a || Compute<T>(a) > Compute<T>(b) ? a : b;
}
template <class T>
T smaller(T a, T b) {
  return a != a || Compute<T>(a) < Compute<T>(b) ? a : b;
}

void scatter(EvalContext& c, const std::vector<int64_t>& offsets, int64_t run) {
  const Tensor& data = c.input(0);
  const Tensor& updates = c.input(2);
  Tensor& out = c.output(0, data.dims());
  const std::string reduction = c.attributes().s("reduction", "none");
  if (reduction == "none") return scatter_blocks(data, offsets, updates, run, out);
  copy_elements(data, out);
  dispatch(data.dtype(), NumberOrBoolTypes{}, [&]<class T>() {
    if (reduction == "add") return reduce_blocks<T>(offsets, updates, run, out, add<T>);
    if (reduction == "mul") return reduce_blocks<T>(offsets, updates, run, out, multiply<T>);
    if (reduction == "max") return reduce_blocks<T>(offsets, updates, run, out, larger<T>);
    if (reduction == "min") return reduce_blocks<T>(offsets, updates, run, out, smaller<T>);
    fail(Code::kInvalidModel, "reduction is '", reduction,
         "', expected none, add, mul, max or min");
  });
}

void eval_scatter_elements(EvalContext& c) {
  TREADLE_CHECK(c.input(1).dims() == c.input(2).dims(), kInvalidData, "'indices' has shape ",
                shape_text(c.input(1).dims()), ", 'updates' ", shape_text(c.input(2).dims()));
  scatter(c, element_offsets(c.input(0).dims(), c.input(1), c.attributes().i("axis", 0)), 1);
}

void eval_scatter_nd(EvalContext& c) {
  const Dims& data = c.input(0).dims();
  const Dims& indices = c.input(1).dims();
  const std::vector<int64_t> offsets = tuple_offsets(data, c.input(1), 0);
  Dims wanted(indices.begin(), indices.end() - 1);
  wanted.insert(wanted.end(), data.begin() + indices.back(), data.end());
  TREADLE_CHECK(c.input(2).dims() == wanted, kInvalidData, "'updates' has shape ",
                shape_text(c.input(2).dims()), ", expected ", shape_text(wanted));
  scatter(c, offsets, product(data, static_cast<size_t>(indices.back()), data.size()));
}

// ---- TensorScatter: update [B, …, sequence, …] written into a cache [B, …, max_sequence, …].

void check_cache(const Dims& cache, const Dims& update, size_t axis) {
  bool fits = cache.size() == update.size() && axis > 0;
  for (size_t d = 0; fits && d < cache.size(); ++d)
    fits = d == axis ? update[d] <= cache[d] : update[d] == cache[d];
  TREADLE_CHECK(fits, kInvalidData, "an update of shape ", shape_text(update),
                " for a cache of shape ", shape_text(cache), " along axis ", axis);
}

void eval_tensor_scatter(EvalContext& c) {
  const Tensor& cache = c.input(0);
  const Tensor& update = c.input(1);
  const auto axis = static_cast<size_t>(resolve_axis(c.attributes().i("axis", -2), cache.rank()));
  check_cache(cache.dims(), update.dims(), axis);
  const std::string mode = c.attributes().s("mode", "linear");
  TREADLE_CHECK(mode == "linear" || mode == "circular", kInvalidModel, "mode is '", mode,
                "', expected linear or circular");
  const int64_t batch = cache.dim(0);
  const std::vector<int64_t> starts =
      c.has(2) ? c.input(2).to_ints() : std::vector<int64_t>(static_cast<size_t>(batch), 0);
  TREADLE_CHECK(static_cast<int64_t>(starts.size()) == batch, kInvalidData, "'write_indices' has ",
                starts.size(), " entries for a batch of ", batch);
  const int64_t length = cache.dim(axis);
  const int64_t steps = update.dim(axis);
  const int64_t run = product(cache.dims(), axis + 1, cache.dims().size());
  const int64_t middle = product(cache.dims(), 1, axis);
  std::vector<int64_t> offsets;
  for (int64_t b = 0; b < batch; ++b) {
    for (int64_t m = 0; m < middle; ++m) {
      for (int64_t t = 0; t < steps; ++t) {
        int64_t at = checked_add(starts[static_cast<size_t>(b)], t);
        if (mode == "circular") at = (at % length + length) % length;
        TREADLE_CHECK(at >= 0 && at < length, kInvalidData, "write index ", at,
                      " is out of range: expected 0 to ", length - 1);
        offsets.push_back(((b * middle + m) * length + at) * run);
      }
    }
  }
  scatter_blocks(cache, offsets, update, run, c.output(0, cache.dims()));
}

constexpr OpDef kRows[] = {
    {.kind = "ScatterElements",
     .inputs = "data:T indices:Tind updates:T",
     .outputs = "output:T",
     .types = "T=all Tind=int32,int64",
     .attributes = "axis:i=0 reduction:s=none",
     .infer = infer_same_shape,
     .eval = eval_scatter_elements},
    {.kind = "ScatterND",
     .inputs = "data:T indices:int64 updates:T",
     .outputs = "output:T",
     .types = "T=all",
     .attributes = "reduction:s=none",
     .infer = infer_same_shape,
     .eval = eval_scatter_nd},
    {.kind = "TensorScatter",
     .inputs = "past_cache:T update:T write_indices?:int64",
     .outputs = "present_cache:T",
     .types = "T=all",
     .attributes = "axis:i=-2 mode:s=linear",
     .infer = infer_same_shape,
     .eval = eval_tensor_scatter},
};

}  // namespace

std::span<const OpDef> scatter_ops() { return kRows; }

}  // namespace treadle

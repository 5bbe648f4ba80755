// Operators along one axis by order or prefix: ArgMax, ArgMin, TopK, CumSum, CumProd.
#include <algorithm>
#include <numeric>

#include "graph/ops/arithmetic.h"
#include "graph/ops/axes.h"
#include "graph/ops/families.h"
#include "graph/ops/iterate.h"
#include "graph/ops/op.h"
#include "graph/ops/scalar.h"

namespace treadle {
namespace {

// Order in which NaN is the largest number, as in numpy.
template <class C>
bool is_less(C a, C b) {
  return a < b || (a == a && b != b);
}

// ---- ArgMax, ArgMin

template <bool Max>
void eval_arg(EvalContext& c) {
  const Tensor& x = c.input(0);
  const int64_t axis = c.attributes().i("axis", 0);
  const bool last = c.attributes().i("select_last_index", 0) != 0;
  const AxisSplit s = split_axis(x.dims(), axis);
  const auto mask = axis_mask({axis}, x.rank());
  Tensor& y = c.output(0, DType::kInt64,
                       reduced_dims(x.dims(), mask, c.attributes().i("keepdims", 1) != 0));
  TREADLE_CHECK(s.size > 0 || y.count() == 0, kInvalidArgument, "axis ", axis, " of shape ",
                shape_text(x.dims()), " has no elements to choose from");
  dispatch(x.dtype(), NumberTypes{}, [&]<class T>() {
    using C = Compute<T>;
    const T* from = x.data<T>().data();
    auto* to = y.data<int64_t>().data();
    // A NaN wins either way, as in numpy.
    auto beats = [last](C a, C b) {
      if (a != a || b != b) return a != a && (b == b || last);
      return (Max ? a > b : a < b) || (last && a == b);
    };
    for (int64_t o = 0; o < s.outer; ++o) {
      for (int64_t k = 0; k < s.inner; ++k) {
        const T* line = from + o * s.size * s.inner + k;
        int64_t best = 0;
        for (int64_t i = 1; i < s.size; ++i) {
          if (beats(static_cast<C>(line[i * s.inner]), static_cast<C>(line[best * s.inner])))
            best = i;
        }
        *to++ = best;
      }
    }
  });
}

void infer_arg(InferContext& c) {
  const auto mask = axis_mask({c.attributes().i("axis", 0)}, c.rank(0));
  c.set_shape(0, reduced_shape(c.shape(0), mask, c.attributes().i("keepdims", 1) != 0));
}

// ---- TopK

void eval_top_k(EvalContext& c) {
  const Tensor& x = c.input(0);
  const int64_t k = scalar_int(c, 1);
  const int64_t axis = c.attributes().i("axis", -1);
  const bool largest = c.attributes().i("largest", 1) != 0;
  const AxisSplit s = split_axis(x.dims(), axis);
  TREADLE_CHECK(k >= 0 && k <= s.size, kInvalidData, "K is ", k, ", expected 0 to ", s.size,
                ", the size of axis ", axis);
  Dims dims = x.dims();
  dims[static_cast<size_t>(resolve_axis(axis, x.rank()))] = k;
  Tensor& values = c.output(0, dims);
  Tensor& indices = c.output(1, DType::kInt64, dims);
  dispatch(x.dtype(), NumberTypes{}, [&]<class T>() {
    using C = Compute<T>;
    const T* from = x.data<T>().data();
    std::vector<int64_t> order(static_cast<size_t>(s.size));
    for (int64_t o = 0; o < s.outer; ++o) {
      for (int64_t n = 0; n < s.inner; ++n) {
        const T* line = from + o * s.size * s.inner + n;
        std::iota(order.begin(), order.end(), 0);
        std::partial_sort(order.begin(), order.begin() + k, order.end(), [&](int64_t a, int64_t b) {
          const auto va = static_cast<C>(line[a * s.inner]);
          const auto vb = static_cast<C>(line[b * s.inner]);
          if (is_less(va, vb)) return !largest;
          if (is_less(vb, va)) return largest;
          return a < b;
        });
        for (int64_t i = 0; i < k; ++i) {
          const auto to = static_cast<size_t>((o * k + i) * s.inner + n);
          const int64_t chosen = order[static_cast<size_t>(i)];
          values.data<T>()[to] = line[chosen * s.inner];
          indices.data<int64_t>()[to] = chosen;
        }
      }
    }
  });
}

void infer_top_k(InferContext& c) {
  Shape shape = c.shape(0);
  const auto axis = static_cast<size_t>(resolve_axis(c.attributes().i("axis", -1), c.rank(0)));
  const auto* k = c.values(1);
  shape[axis] = k != nullptr && k->size() == 1 ? k->front() : Dim::unknown();
  c.set_shape(0, shape);
  c.set_shape(1, shape);
}

// ---- CumSum, CumProd

constexpr auto kAdd = [](auto a, auto b) { return add(a, b); };
constexpr auto kMultiply = [](auto a, auto b) { return multiply(a, b); };

template <auto F, int Start>
void eval_prefix(EvalContext& c) {
  const Tensor& x = c.input(0);
  const int64_t axis = scalar_int(c, 1);
  TREADLE_CHECK(axis >= -x.rank() && axis < x.rank(), kInvalidData, "axis ", axis,
                " is out of range for rank ", x.rank());
  const bool reverse = c.attributes().i("reverse", 0) != 0;
  const bool exclusive = c.attributes().i("exclusive", 0) != 0;
  const AxisSplit s = split_axis(x.dims(), axis);
  Tensor& y = c.output(0, x.dims());
  dispatch(x.dtype(),
           Types<float, double, Float16, Bfloat16, int32_t, int64_t, uint32_t, uint64_t>{},
           [&]<class T>() {
             const T* from = x.data<T>().data();
             T* to = y.data<T>().data();
             for (int64_t o = 0; o < s.outer; ++o) {
               for (int64_t k = 0; k < s.inner; ++k) {
                 Accumulate<T> total = Start;
                 for (int64_t i = 0; i < s.size; ++i) {
                   const int64_t at = (o * s.size + (reverse ? s.size - 1 - i : i)) * s.inner + k;
                   const Accumulate<T> before = total;
                   total = F(total, static_cast<Accumulate<T>>(from[at]));
                   to[at] = convert<T>(exclusive ? before : total);
                 }
               }
             }
           });
}

constexpr const char* kPrefixTypes = "T=floats,int32,int64,uint32,uint64 T2=int32,int64";
constexpr const char* kArgAttributes = "select_last_index:i=0 keepdims:i=1 axis:i=0";

constexpr OpDef kRows[] = {
    {.kind = "ArgMax",
     .inputs = "data:T",
     .outputs = "reduced:int64",
     .types = "T=numbers",
     .attributes = kArgAttributes,
     .infer = infer_arg,
     .eval = eval_arg<true>},
    {.kind = "ArgMin",
     .inputs = "data:T",
     .outputs = "reduced:int64",
     .types = "T=numbers",
     .attributes = kArgAttributes,
     .infer = infer_arg,
     .eval = eval_arg<false>},
    {.kind = "TopK",
     .inputs = "X:T K:int64",
     .outputs = "Values:T Indices:int64",
     .types = "T=numbers",
     .attributes = "sorted:i=1 largest:i=1 axis:i=-1",
     .infer = infer_top_k,
     .eval = eval_top_k},
    {.kind = "CumSum",
     .inputs = "x:T axis:T2",
     .outputs = "y:T",
     .types = kPrefixTypes,
     .attributes = "reverse:i=0 exclusive:i=0",
     .infer = infer_same_shape,
     .eval = eval_prefix<kAdd, 0>},
    {.kind = "CumProd",
     .inputs = "x:T axis:T2",
     .outputs = "y:T",
     .types = kPrefixTypes,
     .attributes = "reverse:i=0 exclusive:i=0",
     .infer = infer_same_shape,
     .eval = eval_prefix<kMultiply, 1>},
};

}  // namespace

std::span<const OpDef> along_axis_ops() { return kRows; }

}  // namespace treadle

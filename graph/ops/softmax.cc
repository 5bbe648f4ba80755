// Softmax, LogSoftmax, Hardmax along one axis.
#include "graph/ops/arithmetic.h"
#include "graph/ops/families.h"
#include "graph/ops/iterate.h"
#include "graph/ops/op.h"

namespace treadle {
namespace {

// Calls f(const T* from, T* to, AxisSplit) for each line along the axis; its elements lie s.inner
// apart.
template <class F>
void for_each_line(EvalContext& c, F&& f) {
  const Tensor& x = c.input(0);
  Tensor& y = c.output(0, x.dims());
  if (x.count() == 0) return;
  const AxisSplit s =
      x.rank() == 0 ? AxisSplit{} : split_axis(x.dims(), c.attributes().i("axis", -1));
  dispatch(x.dtype(), FloatTypes{}, [&]<class T>() {
    for (int64_t o = 0; o < s.outer; ++o) {
      for (int64_t k = 0; k < s.inner; ++k) {
        const int64_t at = o * s.size * s.inner + k;
        f(x.data<T>().data() + at, y.data<T>().data() + at, s);
      }
    }
  });
}

template <class T>
Compute<T> line_max(const T* from, const AxisSplit& s) {
  Compute<T> most = static_cast<Compute<T>>(from[0]);
  for (int64_t i = 1; i < s.size; ++i)
    most = larger(most, static_cast<Compute<T>>(from[i * s.inner]));
  return most;
}

template <class T>
double line_sum(const T* from, const AxisSplit& s, Compute<T> most) {
  double sum = 0;
  for (int64_t i = 0; i < s.size; ++i) {
    sum += static_cast<double>(std::exp(static_cast<Compute<T>>(from[i * s.inner]) - most));
  }
  return sum;
}

void eval_softmax(EvalContext& c) {
  for_each_line(c, []<class T>(const T* from, T* to, const AxisSplit& s) {
    using C = Compute<T>;
    const C most = line_max(from, s);
    const auto scale = static_cast<C>(1 / line_sum(from, s, most));
    for (int64_t i = 0; i < s.size; ++i) {
      to[i * s.inner] = convert<T>(std::exp(static_cast<C>(from[i * s.inner]) - most) * scale);
    }
  });
}

void eval_log_softmax(EvalContext& c) {
  for_each_line(c, []<class T>(const T* from, T* to, const AxisSplit& s) {
    using C = Compute<T>;
    const C most = line_max(from, s);
    const auto log_sum = static_cast<C>(std::log(line_sum(from, s, most)));
    for (int64_t i = 0; i < s.size; ++i) {
      to[i * s.inner] = convert<T>(static_cast<C>(from[i * s.inner]) - most - log_sum);
    }
  });
}

// 1 at the first maximum, 0 elsewhere.
void eval_hardmax(EvalContext& c) {
  for_each_line(c, []<class T>(const T* from, T* to, const AxisSplit& s) {
    int64_t best = 0;
    for (int64_t i = 1; i < s.size; ++i) {
      if (static_cast<Compute<T>>(from[i * s.inner]) >
          static_cast<Compute<T>>(from[best * s.inner]))
        best = i;
    }
    for (int64_t i = 0; i < s.size; ++i) to[i * s.inner] = convert<T>(i == best ? 1.0f : 0.0f);
  });
}

void infer_softmax(InferContext& c) {
  if (c.rank(0) > 0) resolve_axis(c.attributes().i("axis", -1), c.rank(0));
  infer_same_shape(c);
}

#define TREADLE_SOFTMAX(name, function)                                            \
  {                                                                                \
    .kind = name, .inputs = "input:T", .outputs = "output:T", .types = "T=floats", \
    .attributes = "axis:i=-1", .infer = infer_softmax, .eval = function            \
  }

constexpr OpDef kRows[] = {
    TREADLE_SOFTMAX("Softmax", eval_softmax),
    TREADLE_SOFTMAX("LogSoftmax", eval_log_softmax),
    TREADLE_SOFTMAX("Hardmax", eval_hardmax),
};

#undef TREADLE_SOFTMAX

}  // namespace

std::span<const OpDef> softmax_ops() { return kRows; }

}  // namespace treadle

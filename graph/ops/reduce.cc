// Reductions over axes: ReduceSum, Mean, Max, Min, Prod, L1, L2, LogSum, LogSumExp, SumSquare.
#include "graph/ops/arithmetic.h"
#include "graph/ops/axes.h"
#include "graph/ops/families.h"
#include "graph/ops/iterate.h"
#include "graph/ops/op.h"
#include "graph/ops/shape_values.h"

namespace treadle {
namespace {

using WideTypes = Types<float, double, Float16, Bfloat16, int32_t, int64_t, uint32_t, uint64_t>;

// How one reduction of T works: begin with `start`, `join` each element, `finish` with the number
// of elements.
template <class T>
struct SumRule {
  using State = Accumulate<T>;
  static State start() { return 0; }
  static State join(State s, State x) { return add(s, x); }
  static State finish(State s, int64_t) { return s; }
};
template <class T>
struct MeanRule : SumRule<T> {
  using State = Accumulate<T>;
  static State finish(State s, int64_t n) { return divide(s, static_cast<State>(n)); }
};
template <class T>
struct ProdRule : SumRule<T> {
  using State = Accumulate<T>;
  static State start() { return 1; }
  static State join(State s, State x) { return multiply(s, x); }
};
template <class T>
struct L1Rule : SumRule<T> {
  using State = Accumulate<T>;
  static State join(State s, State x) { return add(s, x < 0 ? negate(x) : x); }
};
template <class T>
struct SumSquareRule : SumRule<T> {
  using State = Accumulate<T>;
  static State join(State s, State x) { return add(s, multiply(x, x)); }
};
template <class T>
struct L2Rule : SumRule<T> {
  using State = double;
  static State start() { return 0; }
  static State join(State s, State x) { return s + x * x; }
  static State finish(State s, int64_t) { return std::sqrt(s); }
};
template <class T>
struct LogSumRule {
  using State = std::conditional_t<std::is_integral_v<T>, double, Accumulate<T>>;
  static State start() { return 0; }
  static State join(State s, State x) { return s + x; }
  static State finish(State s, int64_t) { return std::log(s); }
};
template <class T>
struct MaxRule {
  using State = Compute<T>;
  using Limits = std::numeric_limits<State>;
  static State start() {
    if constexpr (Limits::has_infinity)
      return -Limits::infinity();
    else
      return Limits::lowest();
  }
  static State join(State s, State x) { return larger(s, x); }
  static State finish(State s, int64_t) { return s; }
};
template <class T>
struct MinRule {
  using State = Compute<T>;
  using Limits = std::numeric_limits<State>;
  static State start() {
    if constexpr (Limits::has_infinity)
      return Limits::infinity();
    else
      return Limits::max();
  }
  static State join(State s, State x) { return smaller(s, x); }
  static State finish(State s, int64_t) { return s; }
};

// The states of all results; state(x, result) reads an element for its result.
template <class T, class Rule, class Read>
std::vector<typename Rule::State> reduce(const Tensor& x, const std::vector<bool>& mask,
                                         Read&& read) {
  using State = typename Rule::State;
  const int64_t results = element_count(reduced_dims(x.dims(), mask, true));
  std::vector<State> states(static_cast<size_t>(results), Rule::start());
  const T* from = x.data<T>().data();
  for_each_row<2>(x.dims(), {strides_of(x.dims()), reduced_strides(x.dims(), mask)},
                  [&](const Row<2>& row) {
                    if (row.step[1] == 0) {
                      State s = states[static_cast<size_t>(row.at[1])];
                      for (int64_t i = 0; i < row.count; ++i)
                        s = Rule::join(s, read(from[row.at[0] + i * row.step[0]], row.at[1]));
                      states[static_cast<size_t>(row.at[1])] = s;
                      return;
                    }
                    for (int64_t i = 0; i < row.count; ++i) {
                      const int64_t to = row.at[1] + i * row.step[1];
                      auto&& s = states[static_cast<size_t>(to)];
                      s = Rule::join(s, read(from[row.at[0] + i * row.step[0]], to));
                    }
                  });
  return states;
}

std::vector<bool> reduced_axes(const Attributes& a, const std::vector<int64_t>& axes,
                               int64_t rank) {
  if (!axes.empty()) return axis_mask(axes, rank);
  return std::vector<bool>(static_cast<size_t>(rank), a.i("noop_with_empty_axes", 0) == 0);
}

// Elements that each result is made of.
int64_t group_size(const Dims& dims, const std::vector<bool>& mask) {
  int64_t size = 1;
  for (size_t d = 0; d < dims.size(); ++d) size *= mask[d] ? dims[d] : 1;
  return size;
}

struct Reduction {
  const Tensor& x;
  std::vector<bool> mask;
  Tensor& y;
};
Reduction begin(EvalContext& c) {
  const Tensor& x = c.input(0);
  const std::vector<int64_t> axes = c.has(1) ? c.input(1).to_ints() : std::vector<int64_t>{};
  std::vector<bool> mask = reduced_axes(c.attributes(), axes, x.rank());
  Tensor& y = c.output(0, reduced_dims(x.dims(), mask, c.attributes().i("keepdims", 1) != 0));
  return {x, std::move(mask), y};
}

template <template <class> class Rule, class List>
void eval_reduce(EvalContext& c) {
  const Reduction r = begin(c);
  const int64_t size = group_size(r.x.dims(), r.mask);
  dispatch(r.x.dtype(), List{}, [&]<class T>() {
    using State = typename Rule<T>::State;
    const auto states =
        reduce<T, Rule<T>>(r.x, r.mask, [](T e, int64_t) { return static_cast<State>(e); });
    const auto to = r.y.data<T>();
    for (size_t i = 0; i < to.size(); ++i) to[i] = convert<T>(Rule<T>::finish(states[i], size));
  });
}

// log(sum(exp(x - max))) + max, so that nothing overflows.
void eval_log_sum_exp(EvalContext& c) {
  const Reduction r = begin(c);
  dispatch(r.x.dtype(), WideTypes{}, [&]<class T>() {
    auto shifts = reduce<T, MaxRule<double>>(r.x, r.mask,
                                             [](T e, int64_t) { return static_cast<double>(e); });
    for (double& s : shifts) s = std::isfinite(s) ? s : 0;
    const auto sums = reduce<T, SumRule<double>>(r.x, r.mask, [&](T e, int64_t to) {
      return std::exp(static_cast<double>(e) - shifts[static_cast<size_t>(to)]);
    });
    const auto to = r.y.data<T>();
    for (size_t i = 0; i < to.size(); ++i) to[i] = convert<T>(std::log(sums[i]) + shifts[i]);
  });
}

void infer_reduce(InferContext& c) {
  const bool keepdims = c.attributes().i("keepdims", 1) != 0;
  std::vector<int64_t> axes;
  if (c.has(1)) {
    const auto given = c.ints(1);
    if (!given) {
      if (keepdims) c.set_shape(0, Shape(c.shape(0).size(), Dim::unknown()));
      return;
    }
    axes = *given;
  }
  c.set_shape(0,
              reduced_shape(c.shape(0), reduced_axes(c.attributes(), axes, c.rank(0)), keepdims));
}

// A reduction of all elements of a shape is known too.
template <DimFn F>
void infer_reduce_values(InferContext& c) {
  infer_reduce(c);
  const auto* values = c.values(0);
  const bool all = !c.has(1) || c.ints(1).has_value();
  if (values == nullptr || values->empty() || !all || c.rank(0) != 1) return;
  const std::vector<int64_t> axes = c.has(1) ? *c.ints(1) : std::vector<int64_t>{};
  if (!reduced_axes(c.attributes(), axes, 1)[0]) return;
  Dim result = values->front();
  for (size_t i = 1; i < values->size(); ++i) result = F(result, (*values)[i]);
  c.set_values(0, {result});
}

using OrderedTypes = Types<float, double, Float16, Bfloat16, int8_t, uint8_t, int32_t, int64_t,
                           uint32_t, uint64_t, bool>;

constexpr const char* kWide = "T=floats,int32,int64,uint32,uint64";
constexpr const char* kOrdered = "T=floats,int8,uint8,int32,int64,uint32,uint64,bool";

#define TREADLE_REDUCE(name, types_text, rule, function)                                       \
  {                                                                                            \
    .kind = name, .inputs = "data:T axes?:int64", .outputs = "reduced:T", .types = types_text, \
    .attributes = "noop_with_empty_axes:i=0 keepdims:i=1", .infer = rule, .eval = function     \
  }

constexpr OpDef kRows[] = {
    TREADLE_REDUCE("ReduceSum", kWide, infer_reduce_values<add_values>,
                   (eval_reduce<SumRule, WideTypes>)),
    TREADLE_REDUCE("ReduceMean", kWide, infer_reduce, (eval_reduce<MeanRule, WideTypes>)),
    TREADLE_REDUCE("ReduceProd", kWide, infer_reduce_values<multiply_values>,
                   (eval_reduce<ProdRule, WideTypes>)),
    TREADLE_REDUCE("ReduceL1", kWide, infer_reduce, (eval_reduce<L1Rule, WideTypes>)),
    TREADLE_REDUCE("ReduceL2", kWide, infer_reduce, (eval_reduce<L2Rule, WideTypes>)),
    TREADLE_REDUCE("ReduceSumSquare", kWide, infer_reduce, (eval_reduce<SumSquareRule, WideTypes>)),
    TREADLE_REDUCE("ReduceLogSum", kWide, infer_reduce, (eval_reduce<LogSumRule, WideTypes>)),
    TREADLE_REDUCE("ReduceLogSumExp", kWide, infer_reduce, eval_log_sum_exp),
    TREADLE_REDUCE("ReduceMax", kOrdered, infer_reduce_values<max_values>,
                   (eval_reduce<MaxRule, OrderedTypes>)),
    TREADLE_REDUCE("ReduceMin", kOrdered, infer_reduce_values<min_values>,
                   (eval_reduce<MinRule, OrderedTypes>)),
};

#undef TREADLE_REDUCE

}  // namespace

std::span<const OpDef> reduce_ops() { return kRows; }

}  // namespace treadle

// Operators on any number of broadcast tensors (Max, Min, Sum, Mean), and Where.
#include "graph/ops/arithmetic.h"
#include "graph/ops/cast.h"
#include "graph/ops/families.h"
#include "graph/ops/iterate.h"
#include "graph/ops/op.h"
#include "graph/ops/shape_values.h"

namespace treadle {
namespace {

// Folds the inputs with F. 16-bit floats are folded in float and rounded once.
template <auto F, class List>
Tensor fold_inputs(EvalContext& c) {
  Dims dims = c.input(0).dims();
  for (size_t i = 1; i < c.input_count(); ++i) dims = broadcast(dims, c.input(i).dims());
  const bool reduced = c.dtype(0) == DType::kFloat16 || c.dtype(0) == DType::kBfloat16;
  const DType dtype = reduced ? DType::kFloat : c.dtype(0);
  Tensor total(dtype, dims);
  dispatch(dtype, List{}, [&]<class T>() {
    const Tensor first = cast_tensor(c.input(0), dtype);
    map_binary<T, T, T>(first, first, total, [](T a, T) { return a; });
    for (size_t i = 1; i < c.input_count(); ++i) {
      map_binary<T, T, T>(total, cast_tensor(c.input(i), dtype), total,
                          [](T a, T b) { return F(a, b); });
    }
  });
  return total;
}

constexpr auto kAdd = [](auto a, auto b) { return add(a, b); };
constexpr auto kLarger = [](auto a, auto b) { return larger(a, b); };
constexpr auto kSmaller = [](auto a, auto b) { return smaller(a, b); };
using WideFloats = Types<float, double>;

template <auto F, class List>
void eval_fold(EvalContext& c) {
  const Tensor total = cast_tensor(fold_inputs<F, List>(c), c.dtype(0));
  copy_elements(total, c.output(0, total.dims()));
}

void eval_mean(EvalContext& c) {
  Tensor total = fold_inputs<kAdd, WideFloats>(c);
  dispatch(total.dtype(), WideFloats{}, [&]<class T>() {
    const auto count = static_cast<T>(c.input_count());
    map_unary<T, T>(total, total, [=](T x) { return x / count; });
  });
  copy_elements(cast_tensor(total, c.dtype(0)), c.output(0, total.dims()));
}

template <DimFn F>
void infer_extremum(InferContext& c) {
  if (c.input_count() == 2) infer_values(c, F);
  if (const auto* values = c.values(0); values != nullptr && c.input_count() == 1)
    c.set_values(0, *values);
  infer_broadcast(c);
}

// A condition as 1, 0 or unknown.
std::optional<std::vector<Dim>> condition_values(const InferContext& c) {
  if (const auto* values = c.values(0)) return *values;
  const Tensor* constant = c.constant(0);
  if (constant == nullptr || constant->rank() > 1) return std::nullopt;
  const std::vector<int64_t> flags = constant->to_ints();
  return std::vector<Dim>(flags.begin(), flags.end());
}

void infer_where(InferContext& c) {
  const auto condition = condition_values(c);
  const auto* x = c.values(1);
  const auto* y = c.values(2);
  if (condition && x != nullptr && y != nullptr) {
    const size_t count = std::max({condition->size(), x->size(), y->size()});
    auto at = [](const std::vector<Dim>& v, size_t i) {
      return v.size() == 1 ? v[0] : i < v.size() ? v[i] : Dim::unknown();
    };
    std::vector<Dim> out;
    for (size_t i = 0; i < count; ++i) {
      const Dim chosen = at(*condition, i);
      const Dim a = at(*x, i);
      const Dim b = at(*y, i);
      out.push_back(chosen.is(1) || a == b ? a : chosen.is(0) ? b : Dim::unknown());
    }
    c.set_values(0, std::move(out));
  }
  infer_broadcast(c);
}

void eval_where(EvalContext& c) {
  const Tensor& x = c.input(1);
  const Dims dims = broadcast(broadcast(c.input(0).dims(), x.dims()), c.input(2).dims());
  Tensor& y = c.output(0, x.dtype(), dims);
  using WhereTypes =
      Types<float, double, Float16, Bfloat16, int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t,
            uint32_t, uint64_t, bool, std::string, std::complex<float>, std::complex<double>>;
  dispatch(x.dtype(), WhereTypes{}, [&]<class T>() {
    map_ternary<bool, T, T, T>({&c.input(0), &x, &c.input(2)}, y,
                               [](bool chosen, const T& a, const T& b) { return chosen ? a : b; });
  });
}

using WideNumbers =
    Types<float, double, int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t>;

constexpr OpDef kRows[] = {
    {.kind = "Max",
     .inputs = "data_0*:T",
     .outputs = "max:T",
     .types = "T=numbers",
     .infer = infer_extremum<max_values>,
     .eval = eval_fold<kLarger, WideNumbers>,
     .traits = kElementwise | kCommutative},
    {.kind = "Min",
     .inputs = "data_0*:T",
     .outputs = "min:T",
     .types = "T=numbers",
     .infer = infer_extremum<min_values>,
     .eval = eval_fold<kSmaller, WideNumbers>,
     .traits = kElementwise | kCommutative},
    {.kind = "Sum",
     .inputs = "data_0*:T",
     .outputs = "sum:T",
     .types = "T=floats",
     .infer = infer_broadcast,
     .eval = eval_fold<kAdd, WideFloats>,
     .traits = kElementwise | kCommutative},
    {.kind = "Mean",
     .inputs = "data_0*:T",
     .outputs = "mean:T",
     .types = "T=floats",
     .infer = infer_broadcast,
     .eval = eval_mean,
     .traits = kElementwise | kCommutative},
    {.kind = "Where",
     .inputs = "condition:bool X:T Y:T",
     .outputs = "output:T",
     .types = "T=numbers,bool,string,complex64,complex128",
     .infer = infer_where,
     .eval = eval_where,
     .traits = kElementwise},
};

}  // namespace

std::span<const OpDef> variadic_ops() { return kRows; }

}  // namespace treadle

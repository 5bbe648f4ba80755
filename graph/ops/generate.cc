// Operators that make elements from nothing but a shape or a few scalars.
#include <algorithm>
#include <cmath>

#include "graph/ops/families.h"
#include "graph/ops/move.h"
#include "graph/ops/scalar.h"

namespace treadle {
namespace {

// ---- Constant

Tensor constant_of(const Attributes& a) {
  if (const Tensor* t = a.tensor("value")) return *t;
  const auto list = [](auto elements) {
    return Tensor::of({static_cast<int64_t>(elements.size())}, elements);
  };
  if (a.has("value_float")) return Tensor::scalar<float>(a.f("value_float", 0));
  if (a.has("value_int")) return Tensor::scalar<int64_t>(a.i("value_int", 0));
  if (a.has("value_string")) return Tensor::scalar<std::string>(a.s("value_string", ""));
  if (a.has("value_floats")) return list(a.floats("value_floats"));
  if (a.has("value_ints")) return list(a.ints("value_ints"));
  if (a.has("value_strings")) return list(a.strings("value_strings"));
  fail(Code::kInvalidModel, "no value");
}

void infer_constant(InferContext& c) {
  const Tensor t = constant_of(c.attributes());
  c.set_type(0, Type::tensor(t.dtype(), symbolic(t.dims())));
}

void eval_constant(EvalContext& c) {
  const Tensor t = constant_of(c.attributes());
  copy_elements(t, c.output(0, t.dtype(), t.dims()));
}

// ---- ConstantOfShape

Tensor fill_value(const Attributes& a) {
  const Tensor* t = a.tensor("value");
  if (t == nullptr) return Tensor::scalar<float>(0);
  TREADLE_CHECK(t->count() == 1, kInvalidModel, "'value' has ", t->count(),
                " elements, expected 1");
  return *t;
}

void infer_constant_of_shape(InferContext& c) {
  c.set_dtype(0, fill_value(c.attributes()).dtype());
  if (const auto* values = c.values(0)) return c.set_shape(0, *values);
  const Shape& shape = c.shape(0);
  if (shape.size() == 1 && shape[0].known() && shape[0].value() <= kMaxRank) {
    c.set_shape(0, Shape(static_cast<size_t>(shape[0].value()), Dim::unknown()));
  }
}

void eval_constant_of_shape(EvalContext& c) {
  const Dims dims = c.input(0).to_ints();
  for (int64_t d : dims)
    TREADLE_CHECK(d >= 0, kInvalidData, "the shape ", shape_text(dims),
                  " has a negative dimension");
  const Tensor value = fill_value(c.attributes());
  fill_elements(value, c.output(0, value.dtype(), dims));
}

// ---- Range

// max(0, ceil((limit - start) / delta)) without overflow.
template <class T>
int64_t range_count(T start, T limit, T delta) {
  TREADLE_CHECK(delta != 0, kInvalidData, "'delta' is 0");
  if constexpr (std::is_integral_v<T>) {
    if (delta > 0 ? limit <= start : limit >= start) return 0;
    const uint64_t low = static_cast<uint64_t>(static_cast<int64_t>(std::min(start, limit)));
    const uint64_t span = static_cast<uint64_t>(static_cast<int64_t>(std::max(start, limit))) - low;
    const auto wide = static_cast<int64_t>(delta);
    const uint64_t step = wide < 0 ? 0 - static_cast<uint64_t>(wide) : static_cast<uint64_t>(wide);
    const uint64_t count = (span - 1) / step + 1;
    TREADLE_CHECK(count <= INT64_MAX, kLimit, "a range of ", count, " elements");
    return static_cast<int64_t>(count);
  } else {
    const double count = std::ceil((static_cast<double>(limit) - static_cast<double>(start)) /
                                   static_cast<double>(delta));
    TREADLE_CHECK(!std::isnan(count), kInvalidData, "a range with bounds that are not numbers");
    TREADLE_CHECK(count < 0x1p60, kLimit, "a range of ", count, " elements");
    return count > 0 ? static_cast<int64_t>(count) : 0;
  }
}

template <class T>
Compute<T> one(const Tensor& t, const char* name) {
  TREADLE_CHECK(t.count() == 1, kInvalidData, "'", name, "' has ", t.count(),
                " elements, expected 1");
  return static_cast<Compute<T>>(t.data<T>()[0]);
}

using RangeTypes = Types<float, double, Float16, Bfloat16, int16_t, int32_t, int64_t>;

int64_t range_count_of(const Tensor& start, const Tensor& limit, const Tensor& delta) {
  return dispatch(start.dtype(), RangeTypes{}, [&]<class T>() {
    return range_count(one<T>(start, "start"), one<T>(limit, "limit"), one<T>(delta, "delta"));
  });
}

void infer_range(InferContext& c) {
  c.set_shape(0, {Dim::unknown()});
  if (c.constant(0) != nullptr && c.constant(1) != nullptr && c.constant(2) != nullptr) {
    return c.set_shape(0, {Dim(range_count_of(*c.constant(0), *c.constant(1), *c.constant(2)))});
  }
  const auto* start = c.values(0);
  const auto* limit = c.values(1);
  const auto* delta = c.values(2);
  if (start == nullptr || limit == nullptr || delta == nullptr) return;
  if (start->size() != 1 || limit->size() != 1 || delta->size() != 1) return;
  if (!delta->front().known() || delta->front().value() <= 0) return;
  c.set_shape(0, {Dim::max(0, Dim::ceil_div(limit->front() - start->front(), delta->front()))});
}

void eval_range(EvalContext& c) {
  const Tensor& start = c.input(0);
  const int64_t count = range_count_of(start, c.input(1), c.input(2));
  Tensor& out = c.output(0, {count});
  dispatch(start.dtype(), RangeTypes{}, [&]<class T>() {
    const auto first = one<T>(start, "start");
    const auto delta = one<T>(c.input(2), "delta");
    const auto to = out.data<T>();
    for (int64_t i = 0; i < count; ++i) {
      if constexpr (std::is_integral_v<T>) {  // in uint64: wraps, and within the range is exact
        to[static_cast<size_t>(i)] = static_cast<T>(
            static_cast<uint64_t>(first) + static_cast<uint64_t>(i) * static_cast<uint64_t>(delta));
      } else {
        to[static_cast<size_t>(i)] = T(first + static_cast<Compute<T>>(i) * delta);
      }
    }
  });
}

// ---- EyeLike

void infer_eye_like(InferContext& c) {
  c.set_dtype(0, dtype_attribute(c.attributes(), "dtype", c.dtype(0)));
  TREADLE_CHECK(c.rank(0) == 2, kInvalidModel, "the input has rank ", c.rank(0), ", expected 2");
  infer_same_shape(c);
}

void eval_eye_like(EvalContext& c) {
  const Tensor& x = c.input(0);
  TREADLE_CHECK(x.rank() == 2, kInvalidData, "the input has rank ", x.rank(), ", expected 2");
  const int64_t rows = x.dim(0);
  const int64_t columns = x.dim(1);
  const int64_t k = std::clamp(c.attributes().i("k", 0), -rows - 1, columns + 1);
  Tensor& out = c.output(0, dtype_attribute(c.attributes(), "dtype", x.dtype()), x.dims());
  dispatch(out.dtype(), NumberOrBoolTypes{}, [&]<class T>() {
    const auto to = out.data<T>();
    std::fill(to.begin(), to.end(), T{});
    for (int64_t i = 0; i < rows; ++i) {
      if (i + k >= 0 && i + k < columns) to[static_cast<size_t>(i * columns + i + k)] = T(1);
    }
  });
}

constexpr OpDef kRows[] = {
    {.kind = "Constant",
     .inputs = "",
     .outputs = "output:any",
     .attributes = "value:t value_float:f value_int:i value_string:s value_floats:fs value_ints:is "
                   "value_strings:ss",
     .infer = infer_constant,
     .eval = eval_constant},
    {.kind = "ConstantOfShape",
     .inputs = "input:int64",
     .outputs = "output:any",
     .attributes = "value:t",
     .infer = infer_constant_of_shape,
     .eval = eval_constant_of_shape},
    {.kind = "Range",
     .inputs = "start:T limit:T delta:T",
     .outputs = "output:T",
     .types = "T=floats,int16,int32,int64",
     .attributes = "stash_type:i=1",
     .infer = infer_range,
     .eval = eval_range},
    {.kind = "EyeLike",
     .inputs = "input:T1",
     .outputs = "output:any",
     .types = "T1=numbers,bool",
     .attributes = "dtype:i k:i=0",
     .infer = infer_eye_like,
     .eval = eval_eye_like},
};

}  // namespace

std::span<const OpDef> generate_ops() { return kRows; }

}  // namespace treadle

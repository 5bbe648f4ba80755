// Random operators by counter: RandomUniform, RandomNormal (and Like), Bernoulli, Multinomial,
// Dropout, treadle.DropoutMask.
#include "graph/ops/random.h"

#include <atomic>
#include <bit>
#include <cmath>
#include <cstring>
#include <numbers>

#include "graph/ops/arithmetic.h"
#include "graph/ops/cast.h"
#include "graph/ops/families.h"
#include "graph/ops/op.h"
#include "graph/ops/philox.h"
#include "graph/ops/scalar.h"

namespace treadle {
namespace {

std::atomic<uint64_t> next_seed{0};

// The attribute where it is given; otherwise another number at each call.
uint64_t seed_of(const Attributes& a) {
  const Attribute* seed = a.find("seed");
  if (seed == nullptr) return next_seed.fetch_add(1) * 0x9e3779b97f4a7c15u;
  if (const float* f = std::get_if<float>(seed)) return std::bit_cast<uint32_t>(*f);
  return static_cast<uint64_t>(a.i("seed", 0));
}

// Fills a tensor of any float type with f(index).
template <class F>
void fill(Tensor& y, F&& f) {
  dispatch(y.dtype(), FloatTypes{}, [&]<class T>() {
    const auto to = y.data<T>();
    for (size_t i = 0; i < to.size(); ++i) to[i] = convert<T>(f(i));
  });
}

void fill_uniform(Tensor& y, const Attributes& a) {
  const auto low = static_cast<double>(a.f("low", 0));
  const auto high = static_cast<double>(a.f("high", 1));
  const uint64_t seed = seed_of(a);
  fill(y, [=](uint64_t i) { return low + (high - low) * philox_uniform(seed, i); });
}

// Box and Muller's method.
void fill_normal(Tensor& y, const Attributes& a) {
  const auto mean = static_cast<double>(a.f("mean", 0));
  const auto scale = static_cast<double>(a.f("scale", 1));
  const uint64_t seed = seed_of(a);
  fill(y, [=](uint64_t i) {
    const double radius = std::sqrt(-2 * std::log(1 - philox_uniform(seed, 2 * i)));
    return mean + scale * radius * std::cos(2 * std::numbers::pi * philox_uniform(seed, 2 * i + 1));
  });
}

void infer_shaped(InferContext& c) {
  c.set_dtype(0, dtype_attribute(c.attributes(), "dtype", DType::kFloat));
  c.set_shape(0, symbolic(c.attributes().ints("shape")));
}

void infer_like(InferContext& c) {
  if (c.dtype(0) != DType::kUndefined || c.attributes().has("dtype")) {
    c.set_dtype(0, dtype_attribute(c.attributes(), "dtype", c.dtype(0)));
  }
  infer_same_shape(c);
}

template <auto Fill>
void eval_shaped(EvalContext& c) {
  const DType dtype = dtype_attribute(c.attributes(), "dtype", DType::kFloat);
  Fill(c.output(0, dtype, c.attributes().ints("shape")), c.attributes());
}
template <auto Fill>
void eval_like(EvalContext& c) {
  Fill(c.output(0, dtype_attribute(c.attributes(), "dtype", c.dtype(0)), c.input(0).dims()),
       c.attributes());
}

void eval_bernoulli(EvalContext& c) {
  const std::vector<double> p = c.input(0).to_doubles();
  const uint64_t seed = seed_of(c.attributes());
  Tensor drawn(DType::kBool, c.input(0).dims());
  for (size_t i = 0; i < p.size(); ++i) drawn.data<bool>()[i] = philox_uniform(seed, i) < p[i];
  const DType dtype = dtype_attribute(c.attributes(), "dtype", c.dtype(0));
  copy_elements(cast_tensor(drawn, dtype), c.output(0, dtype, drawn.dims()));
}

// Draws classes by unnormalized log-probabilities [batch, classes].
void eval_multinomial(EvalContext& c) {
  const Tensor& x = c.input(0);
  const int64_t samples = c.attributes().i("sample_size", 1);
  TREADLE_CHECK(x.rank() == 2 && x.dim(1) > 0 && samples >= 0, kInvalidArgument,
                "expected [batch, classes], got ", shape_text(x.dims()));
  const std::vector<double> logs = x.to_doubles();
  const auto classes = static_cast<size_t>(x.dim(1));
  const uint64_t seed = seed_of(c.attributes());
  Tensor drawn(DType::kInt64, {x.dim(0), samples});
  const auto to = drawn.data<int64_t>();
  for (size_t i = 0; i < to.size(); ++i) {
    const double* row = logs.data() + i / static_cast<size_t>(samples) * classes;
    const double most = *std::max_element(row, row + classes);
    double total = 0;
    for (size_t k = 0; k < classes; ++k) total += std::exp(row[k] - most);
    double left = philox_uniform(seed, i) * total;
    size_t chosen = 0;
    for (; chosen + 1 < classes; ++chosen) {
      left -= std::exp(row[chosen] - most);
      if (left < 0) break;
    }
    to[i] = static_cast<int64_t>(chosen);
  }
  const DType dtype = dtype_attribute(c.attributes(), "dtype", DType::kInt32);
  copy_elements(cast_tensor(drawn, dtype), c.output(0, dtype, drawn.dims()));
}

void infer_multinomial(InferContext& c) {
  c.set_dtype(0, dtype_attribute(c.attributes(), "dtype", DType::kInt32));
  TREADLE_CHECK(c.rank(0) == 2, kInvalidModel, "expected [batch, classes], got ",
                shape_text(c.shape(0)));
  c.set_shape(0, {c.shape(0)[0], c.attributes().i("sample_size", 1)});
}

// ---- Dropout

double given_ratio(EvalContext& c, size_t input) {
  const double ratio = c.has(input) && c.input(input).count() == 1
                           ? cast_tensor(c.input(input), DType::kDouble).data<double>()[0]
                           : 0.5;
  TREADLE_CHECK(ratio >= 0 && ratio < 1, kInvalidData, "the dropout ratio is ", ratio,
                ", expected [0, 1)");
  return ratio;
}

double dropout_ratio(EvalContext& c) {
  const bool training = c.has(2) && c.input(2).count() == 1 && c.input(2).data<bool>()[0];
  return training ? given_ratio(c, 1) : 0;
}

void eval_dropout(EvalContext& c) {
  const Tensor& x = c.input(0);
  const double ratio = dropout_ratio(c);
  Tensor& y = c.output(0, x.dims());
  Tensor mask(DType::kBool, x.dims());
  const auto kept = mask.data<bool>();
  const uint64_t seed = seed_of(c.attributes());
  for (size_t i = 0; i < kept.size(); ++i) kept[i] = ratio == 0 || philox_uniform(seed, i) >= ratio;
  if (ratio == 0) {
    copy_elements(x, y);
  } else {
    dispatch(x.dtype(), FloatTypes{}, [&]<class T>() {
      const auto scale = static_cast<Compute<T>>(1 / (1 - ratio));
      for (size_t i = 0; i < kept.size(); ++i) {
        y.data<T>()[i] =
            convert<T>(kept[i] ? static_cast<Compute<T>>(x.data<T>()[i]) * scale : Compute<T>{0});
      }
    });
  }
  if (c.wants(1)) copy_elements(mask, c.output(1, DType::kBool, x.dims()));
}

void infer_dropout(InferContext& c) {
  c.set_shape(0, c.shape(0));
  c.set_shape(1, c.shape(0));
}

// What a trainer multiplies by instead of Dropout: 0 with probability `ratio`, else 1/(1 - ratio).
// Element i of call `draw` depends on the key, the draw and i only.
void eval_dropout_mask(EvalContext& c) {
  const double ratio = given_ratio(c, 2);
  const Dims dims = c.input(1).to_ints();
  for (int64_t d : dims) TREADLE_CHECK(d >= 0, kInvalidData, "a size of ", d, " is asked for");
  const auto key = static_cast<uint64_t>(c.attributes().i("key", 0));
  const auto draw = static_cast<uint64_t>(c.input(0).to_ints().at(0));
  const DType dtype = dtype_attribute(c.attributes(), "dtype", DType::kFloat);
  const auto bound = static_cast<uint64_t>(std::ldexp(ratio, 32));
  dispatch(dtype, FloatTypes{}, [&]<class T>() {
    const auto kept = convert<T>(1 / (1 - ratio));
    const auto mask = c.output(0, dtype, dims).template data<T>();
    for (size_t i = 0; i < mask.size(); i += 4) {
      const std::array<uint32_t, 4> drawn = philox(key, i / 4, draw);
      for (size_t k = 0; k < 4 && i + k < mask.size(); ++k) {
        mask[i + k] = drawn[k] < bound ? convert<T>(0.0) : kept;
      }
    }
  });
}

void infer_dropout_mask(InferContext& c) {
  c.set_dtype(0, dtype_attribute(c.attributes(), "dtype", DType::kFloat));
  if (const std::vector<Dim>* dims = c.values(1)) return c.set_shape(0, *dims);
  const Shape& length = c.shape(1);
  if (length.size() == 1 && length[0].known()) {
    c.set_shape(0, Shape(static_cast<size_t>(length[0].value()), Dim::unknown()));
  }
}

constexpr const char* kDropoutTypes =
    "T=floats,float8e4m3fn,float8e4m3fnuz,float8e5m2,float8e5m2fnuz "
    "T1=floats,float8e4m3fn,float8e4m3fnuz,float8e5m2,float8e5m2fnuz";

constexpr OpDef kRows[] = {
    {.kind = "RandomUniform",
     .inputs = "",
     .outputs = "output:any",
     .attributes = "shape:is! dtype:i=1 seed:f high:f=1 low:f=0",
     .infer = infer_shaped,
     .eval = eval_shaped<fill_uniform>,
     .traits = kRandom},
    {.kind = "RandomNormal",
     .inputs = "",
     .outputs = "output:any",
     .attributes = "shape:is! dtype:i=1 seed:f scale:f=1 mean:f=0",
     .infer = infer_shaped,
     .eval = eval_shaped<fill_normal>,
     .traits = kRandom},
    {.kind = "RandomUniformLike",
     .inputs = "input:T1",
     .outputs = "output:any",
     .types = "T1=all",
     .attributes = "dtype:i seed:f high:f=1 low:f=0",
     .infer = infer_like,
     .eval = eval_like<fill_uniform>,
     .traits = kRandom},
    {.kind = "RandomNormalLike",
     .inputs = "input:T1",
     .outputs = "output:any",
     .types = "T1=all",
     .attributes = "dtype:i seed:f scale:f=1 mean:f=0",
     .infer = infer_like,
     .eval = eval_like<fill_normal>,
     .traits = kRandom},
    {.kind = "Bernoulli",
     .inputs = "input:T1",
     .outputs = "output:any",
     .types = "T1=floats",
     .attributes = "dtype:i seed:f",
     .infer = infer_like,
     .eval = eval_bernoulli,
     .traits = kRandom},
    {.kind = "Multinomial",
     .inputs = "input:T1",
     .outputs = "output:any",
     .types = "T1=floats",
     .attributes = "dtype:i=6 seed:f sample_size:i=1",
     .infer = infer_multinomial,
     .eval = eval_multinomial,
     .traits = kRandom},
    {.kind = "Dropout",
     .inputs = "data:T ratio?:T1 training_mode?:bool",
     .outputs = "output:T mask?:bool",
     .types = kDropoutTypes,
     .attributes = "seed:i",
     .infer = infer_dropout,
     .eval = eval_dropout,
     .traits = kRandom},
    {.kind = "DropoutMask",
     .inputs = "draw:int64 shape:int64 ratio?:T1",
     .outputs = "mask:any",
     .types = kDropoutTypes,
     .attributes = "key:i=0 dtype:i=1",
     .infer = infer_dropout_mask,
     .eval = eval_dropout_mask,
     .domain = "treadle"},
};

}  // namespace

std::span<const OpDef> random_ops() { return kRows; }

// Apart by more than the calls of a process.
void set_random_seed(uint64_t seed) { next_seed = seed << 32; }

}  // namespace treadle

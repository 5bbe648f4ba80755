// Operators on one tensor, element by element: activations, rounding, trigonometry, tests, Clip.
#include <numbers>

#include "graph/ops/activation_parts.h"
#include "graph/ops/arithmetic.h"
#include "graph/ops/expect.h"
#include "graph/ops/families.h"
#include "graph/ops/iterate.h"
#include "graph/ops/op.h"

namespace treadle {
namespace {

// y = F(x), computed in Compute<T>.
template <auto F, class List = FloatTypes>
void eval_unary(EvalContext& c) {
  const Tensor& x = c.input(0);
  Tensor& y = c.output(0, x.dims());
  dispatch(x.dtype(), List{}, [&]<class T>() {
    map_unary<T, T>(x, y, [](T e) { return convert<T>(F(static_cast<Compute<T>>(e))); });
  });
}

struct Coefficients {
  double a = 0;
  double b = 0;
};

// y = F(x, a, b), with the coefficients that Read finds in the attributes.
template <auto F, auto Read>
void eval_with(EvalContext& c) {
  const Tensor& x = c.input(0);
  Tensor& y = c.output(0, x.dims());
  const Coefficients k = Read(c.attributes());
  dispatch(x.dtype(), FloatTypes{}, [&]<class T>() {
    using C = Compute<T>;
    const auto a = static_cast<C>(k.a);
    const auto b = static_cast<C>(k.b);
    map_unary<T, T>(x, y, [a, b](T e) { return convert<T>(F(static_cast<C>(e), a, b)); });
  });
}

constexpr auto kRelu = [](auto x) { return x < 0 ? decltype(x){0} : x; };
constexpr auto kAbs = [](auto x) {
  using T = decltype(x);
  if constexpr (is_int<T>)
    return x < 0 ? negate(x) : x;
  else
    return std::abs(x);
};
constexpr auto kSign = [](auto x) {
  using T = decltype(x);
  return static_cast<T>(x > 0 ? T{1} : x < 0 ? negate(T{1}) : x);
};
constexpr auto kSigmoid = [](auto x) {
  using T = decltype(x);
  const T e = std::exp(-std::abs(x));  // never overflows
  return x < 0 ? e / (1 + e) : 1 / (1 + e);
};
constexpr auto kSoftplus = [](auto x) {
  using T = decltype(x);
  return larger(x, T{0}) + std::log1p(std::exp(-std::abs(x)));
};
constexpr auto kMish = [](auto x) { return x * std::tanh(kSoftplus(x)); };
constexpr auto kGelu = [](auto x) {
  using T = decltype(x);
  return x / 2 * std::erfc(-x / std::numbers::sqrt2_v<T>);
};
constexpr auto kGeluTanh = [](auto x) {
  using T = decltype(x);
  const T inner = std::sqrt(2 / std::numbers::pi_v<T>) * (x + static_cast<T>(0.044715) * x * x * x);
  return x / 2 * (1 + std::tanh(inner));
};
constexpr auto kHardSwish = [](auto x) {
  using T = decltype(x);
  return x * larger(T{0}, smaller(T{1}, x / 6 + static_cast<T>(0.5)));
};

constexpr auto kLeakyRelu = [](auto x, auto a, auto) { return x < 0 ? a * x : x; };
constexpr auto kElu = [](auto x, auto a, auto) { return x < 0 ? a * std::expm1(x) : x; };
constexpr auto kSelu = [](auto x, auto a, auto gamma) {
  return gamma * (x > 0 ? x : a * std::expm1(x));
};
constexpr auto kCelu = [](auto x, auto a, auto) {
  using T = decltype(x);
  return larger(T{0}, x) + smaller(T{0}, a * std::expm1(x / a));
};
constexpr auto kHardSigmoid = [](auto x, auto a, auto b) {
  using T = decltype(x);
  return larger(T{0}, smaller(T{1}, a * x + b));
};
constexpr auto kSwish = [](auto x, auto a, auto) { return x * kSigmoid(a * x); };
constexpr auto kThresholdedRelu = [](auto x, auto a, auto) { return x > a ? x : decltype(x){0}; };
constexpr auto kShrink = [](auto x, auto bias, auto lambd) {
  return x < -lambd ? x + bias : x > lambd ? x - bias : decltype(x){0};
};

// One coefficient "alpha" with the given default, in hundredths.
template <int Hundredths>
Coefficients alpha(const Attributes& a) {
  return {.a = a.f("alpha", static_cast<float>(Hundredths) / 100.0f)};
}
Coefficients selu(const Attributes& a) {
  return {.a = a.f("alpha", 1.67326319217681884765625f),
          .b = a.f("gamma", 1.05070102214813232421875f)};
}
Coefficients hard_sigmoid(const Attributes& a) {
  return {.a = a.f("alpha", 0.2f), .b = a.f("beta", 0.5f)};
}
Coefficients shrink(const Attributes& a) {
  return {.a = a.f("bias", 0.0f), .b = a.f("lambd", 0.5f)};
}

void eval_gelu(EvalContext& c) {
  const std::string approximate = c.attributes().s("approximate", "none");
  if (approximate == "none") return eval_unary<kGelu>(c);
  TREADLE_CHECK(approximate == "tanh", kInvalidModel, "attribute 'approximate' is '", approximate,
                "', expected 'none' or 'tanh'");
  eval_unary<kGeluTanh>(c);
}

void eval_shrink(EvalContext& c) {
  const Tensor& x = c.input(0);
  if (is_float(x.dtype())) return eval_with<kShrink, shrink>(c);
  const Coefficients k = shrink(c.attributes());
  Tensor& y = c.output(0, x.dims());
  dispatch(x.dtype(), IntegerTypes{}, [&]<class T>() {
    map_unary<T, T>(x, y,
                    [&](T e) { return convert<T>(kShrink(static_cast<double>(e), k.a, k.b)); });
  });
}

void eval_not(EvalContext& c) {
  map_unary<bool, bool>(c.input(0), c.output(0, c.input(0).dims()), [](bool e) { return !e; });
}

// The float8 types have so few values that tables of bit patterns are the clearest description.
bool float8_is_nan(DType dtype, uint8_t bits) {
  switch (dtype) {
    case DType::kFloat8E4M3FN: return (bits & 0x7f) == 0x7f;
    case DType::kFloat8E5M2: return (bits & 0x7f) > 0x7c;
    default: return bits == 0x80;  // the FNUZ types
  }
}
bool float8_is_inf(DType dtype, uint8_t bits) {
  return dtype == DType::kFloat8E5M2 && (bits & 0x7f) == 0x7c;
}

bool is_float8(DType dtype) {
  return dtype >= DType::kFloat8E4M3FN && dtype <= DType::kFloat8E5M2FNUZ;
}

void eval_is_nan(EvalContext& c) {
  const Tensor& x = c.input(0);
  Tensor& y = c.output(0, DType::kBool, x.dims());
  if (is_float8(x.dtype())) {
    for (size_t i = 0; i < x.bytes(); ++i) {
      y.data<bool>()[i] = float8_is_nan(x.dtype(), static_cast<uint8_t>(x.raw()[i]));
    }
    return;
  }
  dispatch(x.dtype(), FloatTypes{}, [&]<class T>() {
    map_unary<T, bool>(x, y, [](T e) { return std::isnan(static_cast<Compute<T>>(e)); });
  });
}

void eval_is_inf(EvalContext& c) {
  const Tensor& x = c.input(0);
  const bool positive = c.attributes().i("detect_positive", 1) != 0;
  const bool negative = c.attributes().i("detect_negative", 1) != 0;
  Tensor& y = c.output(0, DType::kBool, x.dims());
  if (is_float8(x.dtype())) {
    for (size_t i = 0; i < x.bytes(); ++i) {
      const auto bits = static_cast<uint8_t>(x.raw()[i]);
      y.data<bool>()[i] =
          float8_is_inf(x.dtype(), bits) && ((bits & 0x80) != 0 ? negative : positive);
    }
    return;
  }
  dispatch(x.dtype(), FloatTypes{}, [&]<class T>() {
    map_unary<T, bool>(x, y, [&](T e) {
      const auto v = static_cast<Compute<T>>(e);
      return std::isinf(v) && (v < 0 ? negative : positive);
    });
  });
}

void infer_clip(InferContext& c) {
  infer_same_shape(c);
  for (const size_t i : {1, 2}) {
    if (c.rank_known(i)) expect_shape(c, i, Shape(c.shape(i).size(), 1));
  }
}

void eval_clip(EvalContext& c) {
  const Tensor& x = c.input(0);
  Tensor& y = c.output(0, x.dims());
  for (size_t i = 1; i <= 2; ++i) {
    if (c.has(i)) expect_shape(c, i, Dims(c.input(i).dims().size(), 1));
  }
  dispatch(x.dtype(), NumberTypes{}, [&]<class T>() {
    using C = Compute<T>;
    const bool has_low = c.has(1);
    const bool has_high = c.has(2);
    const C low = has_low ? static_cast<C>(c.input(1).data<T>()[0]) : C{0};
    const C high = has_high ? static_cast<C>(c.input(2).data<T>()[0]) : C{0};
    map_unary<T, T>(x, y, [=](T e) {
      const auto v = static_cast<C>(e);
      const C raised = has_low && v < low ? low : v;
      return convert<T>(has_high && raised > high ? high : raised);
    });
  });
}

#define TREADLE_UNARY(name, types_text, function)                         \
  {                                                                       \
    .kind = name, .inputs = "X:T", .outputs = "Y:T", .types = types_text, \
    .infer = infer_same_shape, .eval = function, .traits = kElementwise   \
  }
#define TREADLE_UNARY_WITH(name, attributes_text, function)                     \
  {                                                                             \
    .kind = name, .inputs = "X:T", .outputs = "Y:T", .types = "T=floats",       \
    .attributes = attributes_text, .infer = infer_same_shape, .eval = function, \
    .traits = kElementwise                                                      \
  }

#define TREADLE_COMPOSITE_UNARY(name, attributes_text, function, parts)         \
  {                                                                             \
    .kind = name, .inputs = "X:T", .outputs = "Y:T", .types = "T=floats",       \
    .attributes = attributes_text, .infer = infer_same_shape, .eval = function, \
    .decompose = parts, .traits = kElementwise                                  \
  }

using SignedTypes = Types<float, double, Float16, Bfloat16, int8_t, int16_t, int32_t, int64_t>;

constexpr OpDef kRows[] = {
    TREADLE_UNARY("Relu", "T=floats,signed", (eval_unary<kRelu, SignedTypes>)),
    TREADLE_UNARY("Neg", "T=floats,signed",
                  (eval_unary<[](auto x) { return negate(x); }, SignedTypes>)),
    TREADLE_UNARY("Abs", "T=numbers", (eval_unary<kAbs, NumberTypes>)),
    TREADLE_UNARY("Sign", "T=numbers", (eval_unary<kSign, NumberTypes>)),
    TREADLE_UNARY("Sigmoid", "T=floats", eval_unary<kSigmoid>),
    TREADLE_UNARY("Tanh", "T=floats", eval_unary<[](auto x) { return std::tanh(x); }>),
    TREADLE_UNARY("Exp", "T=floats", eval_unary<[](auto x) { return std::exp(x); }>),
    TREADLE_UNARY("Log", "T=floats", eval_unary<[](auto x) { return std::log(x); }>),
    TREADLE_UNARY("Sqrt", "T=floats", eval_unary<[](auto x) { return std::sqrt(x); }>),
    TREADLE_UNARY("Reciprocal", "T=floats", eval_unary<[](auto x) { return 1 / x; }>),
    TREADLE_UNARY("Ceil", "T=floats", eval_unary<[](auto x) { return std::ceil(x); }>),
    TREADLE_UNARY("Floor", "T=floats", eval_unary<[](auto x) { return std::floor(x); }>),
    TREADLE_UNARY("Round", "T=floats", eval_unary<[](auto x) { return std::nearbyint(x); }>),
    TREADLE_UNARY("Erf", "T=numbers",
                  (eval_unary<[](auto x) { return std::erf(x); }, NumberTypes>)),
    TREADLE_UNARY("Sin", "T=floats", eval_unary<[](auto x) { return std::sin(x); }>),
    TREADLE_UNARY("Cos", "T=floats", eval_unary<[](auto x) { return std::cos(x); }>),
    TREADLE_UNARY("Tan", "T=floats", eval_unary<[](auto x) { return std::tan(x); }>),
    TREADLE_UNARY("Asin", "T=floats", eval_unary<[](auto x) { return std::asin(x); }>),
    TREADLE_UNARY("Acos", "T=floats", eval_unary<[](auto x) { return std::acos(x); }>),
    TREADLE_UNARY("Atan", "T=floats", eval_unary<[](auto x) { return std::atan(x); }>),
    TREADLE_UNARY("Sinh", "T=floats", eval_unary<[](auto x) { return std::sinh(x); }>),
    TREADLE_UNARY("Cosh", "T=floats", eval_unary<[](auto x) { return std::cosh(x); }>),
    TREADLE_UNARY("Asinh", "T=floats", eval_unary<[](auto x) { return std::asinh(x); }>),
    TREADLE_UNARY("Acosh", "T=floats", eval_unary<[](auto x) { return std::acosh(x); }>),
    TREADLE_UNARY("Atanh", "T=floats", eval_unary<[](auto x) { return std::atanh(x); }>),
    TREADLE_UNARY("Softplus", "T=floats", eval_unary<kSoftplus>),
    TREADLE_UNARY("Softsign", "T=floats", eval_unary<[](auto x) { return x / (1 + std::abs(x)); }>),
    TREADLE_COMPOSITE_UNARY("Mish", "", eval_unary<kMish>, decompose_mish),
    TREADLE_COMPOSITE_UNARY("HardSwish", "", eval_unary<kHardSwish>, decompose_hard_swish),
    TREADLE_UNARY("Not", "T=bool", eval_not),
    TREADLE_UNARY("BitwiseNot", "T=ints",
                  (eval_unary<[](auto x) { return static_cast<decltype(x)>(~x); }, IntegerTypes>)),
    TREADLE_UNARY_WITH("LeakyRelu", "alpha:f=0.01", (eval_with<kLeakyRelu, alpha<1>>)),
    TREADLE_UNARY_WITH("Elu", "alpha:f=1", (eval_with<kElu, alpha<100>>)),
    TREADLE_UNARY_WITH("Celu", "alpha:f=1", (eval_with<kCelu, alpha<100>>)),
    TREADLE_UNARY_WITH("ThresholdedRelu", "alpha:f=1", (eval_with<kThresholdedRelu, alpha<100>>)),
    TREADLE_COMPOSITE_UNARY("Swish", "alpha:f=1", (eval_with<kSwish, alpha<100>>), decompose_swish),
    TREADLE_UNARY_WITH("Selu",
                       "alpha:f=1.67326319217681884765625 gamma:f=1.05070102214813232421875",
                       (eval_with<kSelu, selu>)),
    TREADLE_UNARY_WITH("HardSigmoid", "alpha:f=0.2 beta:f=0.5",
                       (eval_with<kHardSigmoid, hard_sigmoid>)),
    TREADLE_COMPOSITE_UNARY("Gelu", "approximate:s=none", eval_gelu, decompose_gelu),
    {.kind = "Shrink",
     .inputs = "X:T",
     .outputs = "Y:T",
     .types = "T=floats,ints",
     .attributes = "bias:f=0 lambd:f=0.5",
     .infer = infer_same_shape,
     .eval = eval_shrink,
     .traits = kElementwise},
    {.kind = "IsNaN",
     .inputs = "X:T",
     .outputs = "Y:bool",
     .types = "T=floats,float8e4m3fn,float8e4m3fnuz,float8e5m2,float8e5m2fnuz",
     .infer = infer_same_shape,
     .eval = eval_is_nan,
     .traits = kElementwise},
    {.kind = "IsInf",
     .inputs = "X:T",
     .outputs = "Y:bool",
     .types = "T=floats,float8e4m3fn,float8e4m3fnuz,float8e5m2,float8e5m2fnuz",
     .attributes = "detect_negative:i=1 detect_positive:i=1",
     .infer = infer_same_shape,
     .eval = eval_is_inf,
     .traits = kElementwise},
    {.kind = "Clip",
     .inputs = "X:T min?:T max?:T",
     .outputs = "Y:T",
     .types = "T=numbers",
     .infer = infer_clip,
     .eval = eval_clip,
     .traits = kElementwise},
};

#undef TREADLE_UNARY
#undef TREADLE_UNARY_WITH

}  // namespace

std::span<const OpDef> unary_ops() { return kRows; }

}  // namespace treadle

// Operators on two tensors with broadcasting: arithmetic, comparison, logic, bits, PRelu.
#include "graph/builder.h"
#include "graph/ops/arithmetic.h"
#include "graph/ops/cast.h"
#include "graph/ops/expect.h"
#include "graph/ops/families.h"
#include "graph/ops/iterate.h"
#include "graph/ops/op.h"
#include "graph/ops/shape_values.h"

namespace treadle {
namespace {

// C = F(A, B), computed in Compute<T>.
template <auto F, class List = NumberTypes>
void eval_binary(EvalContext& c) {
  const Tensor& a = c.input(0);
  const Tensor& b = c.input(1);
  Tensor& y = c.output(0, broadcast(a.dims(), b.dims()));
  dispatch(a.dtype(), List{}, [&]<class T>() {
    using C = Compute<T>;
    map_binary<T, T, T>(
        a, b, y, [](T l, T r) { return convert<T>(F(static_cast<C>(l), static_cast<C>(r))); });
  });
}

// The same with a bool for each element.
template <auto F, class List = NumberTypes>
void eval_compare(EvalContext& c) {
  const Tensor& a = c.input(0);
  const Tensor& b = c.input(1);
  Tensor& y = c.output(0, DType::kBool, broadcast(a.dims(), b.dims()));
  dispatch(a.dtype(), List{}, [&]<class T>() {
    using C = Compute<T>;
    map_binary<T, T, bool>(a, b, y, [](const T& l, const T& r) {
      return F(static_cast<const C&>(l), static_cast<const C&>(r));
    });
  });
}

template <DimFn F>
void infer_arithmetic(InferContext& c) {
  infer_values(c, F);
  infer_broadcast(c);
}

constexpr auto kAdd = [](auto a, auto b) { return add(a, b); };
constexpr auto kSub = [](auto a, auto b) { return subtract(a, b); };
constexpr auto kMul = [](auto a, auto b) { return multiply(a, b); };
constexpr auto kDiv = [](auto a, auto b) { return divide(a, b); };
constexpr auto kTruncatedMod = [](auto a, auto b) { return truncated_mod(a, b); };
constexpr auto kFlooredMod = [](auto a, auto b) { return floored_mod(a, b); };
constexpr auto kPRelu = [](auto x, auto slope) { return x < 0 ? multiply(slope, x) : x; };
constexpr auto kAnd = [](auto a, auto b) { return static_cast<decltype(a)>(a & b); };
constexpr auto kOr = [](auto a, auto b) { return static_cast<decltype(a)>(a | b); };
constexpr auto kXor = [](auto a, auto b) { return static_cast<decltype(a)>(a ^ b); };
constexpr auto kEqual = [](const auto& a, const auto& b) { return a == b; };
constexpr auto kLess = [](auto a, auto b) { return a < b; };
constexpr auto kLessOrEqual = [](auto a, auto b) { return a <= b; };
constexpr auto kGreater = [](auto a, auto b) { return a > b; };
constexpr auto kGreaterOrEqual = [](auto a, auto b) { return a >= b; };

template <class T>
bool is_whole_shift(T by) {
  return by >= 0 && static_cast<uint64_t>(by) < sizeof(T) * 8;
}
constexpr auto kShiftLeft = [](auto x, auto by) {
  using T = decltype(x);
  return is_whole_shift(by) ? static_cast<T>(static_cast<uint64_t>(x) << static_cast<int>(by))
                            : T{0};
};
constexpr auto kShiftRight = [](auto x, auto by) {
  using T = decltype(x);
  if (is_whole_shift(by)) return static_cast<T>(x >> static_cast<int>(by));
  return static_cast<T>(x < 0 ? -1 : 0);
};

void eval_bit_shift(EvalContext& c) {
  const std::string direction = c.attributes().s("direction", "");
  if (direction == "LEFT") return eval_binary<kShiftLeft, IntegerTypes>(c);
  TREADLE_CHECK(direction == "RIGHT", kInvalidModel, "attribute 'direction' is '", direction,
                "', expected LEFT or RIGHT");
  eval_binary<kShiftRight, IntegerTypes>(c);
}

void eval_mod(EvalContext& c) {
  if (c.attributes().i("fmod", 0) != 0) return eval_binary<kTruncatedMod>(c);
  eval_binary<kFlooredMod>(c);
}

void infer_mod(InferContext& c) {
  if (c.attributes().i("fmod", 0) == 0) infer_values(c, mod_values);
  infer_broadcast(c);
}

// The exponent has a type of its own: whole exponents are read as int64, others as double.
template <class T, class E>
void raise(const Tensor& x, const Tensor& exponent, Tensor& y) {
  map_binary<T, E, T>(x, exponent, y, [](T base, E e) {
    if constexpr (std::is_integral_v<T> && std::is_integral_v<E>) {
      return integer_power(base, e);
    } else {
      using C = std::conditional_t<std::is_same_v<T, float>, float, double>;
      const auto b = static_cast<C>(base);
      return convert<T>(
          e == E{2} ? b * b
                    : static_cast<C>(std::pow(static_cast<double>(b), static_cast<double>(e))));
    }
  });
}

void eval_pow(EvalContext& c) {
  const Tensor& x = c.input(0);
  const Tensor& e = c.input(1);
  Tensor& y = c.output(0, broadcast(x.dims(), e.dims()));
  const bool whole = is_integer(e.dtype());
  const Tensor exponent = cast_tensor(e, whole ? DType::kInt64 : DType::kDouble);
  dispatch(x.dtype(), Types<float, double, Float16, Bfloat16, int32_t, int64_t>{}, [&]<class T>() {
    whole ? raise<T, int64_t>(x, exponent, y) : raise<T, double>(x, exponent, y);
  });
}

void infer_prelu(InferContext& c) {
  infer_same_shape(c);
  expect_broadcast_to(c, 1, c.shape(0));
}

void eval_prelu(EvalContext& c) {
  expect_broadcast_to(c, 1, c.input(0).dims());
  eval_binary<kPRelu>(c);
}

// Swish(A) * B.
std::vector<ValueId> decompose_swiglu(Builder& b, const Node& node) {
  const ValueId gate = b.op("Swish", {node.input(0)}, {{"alpha", node.attributes.f("alpha", 1)}});
  return {b.op("Mul", {gate, node.input(1)})};
}

#define TREADLE_BINARY(name, types_text, rule, function, more_traits)                        \
  {                                                                                          \
    .kind = name, .inputs = "A:T B:T", .outputs = "C:T", .types = types_text, .infer = rule, \
    .eval = function, .traits = kElementwise | more_traits                                   \
  }
#define TREADLE_COMPARE(name, types_text, function, more_traits)                     \
  {                                                                                  \
    .kind = name, .inputs = "A:T B:T", .outputs = "C:bool", .types = types_text,     \
    .infer = infer_broadcast, .eval = function, .traits = kElementwise | more_traits \
  }

using EqualTypes = Types<float, double, Float16, Bfloat16, int8_t, int16_t, int32_t, int64_t,
                         uint8_t, uint16_t, uint32_t, uint64_t, bool, std::string>;
using BoolTypes = Types<bool>;

constexpr OpDef kRows[] = {
    TREADLE_BINARY("Add", "T=numbers", infer_arithmetic<add_values>, eval_binary<kAdd>,
                   kCommutative),
    TREADLE_BINARY("Sub", "T=numbers", infer_arithmetic<subtract_values>, eval_binary<kSub>, 0),
    TREADLE_BINARY("Mul", "T=numbers", infer_arithmetic<multiply_values>, eval_binary<kMul>,
                   kCommutative),
    TREADLE_BINARY("Div", "T=numbers", infer_arithmetic<divide_values>, eval_binary<kDiv>, 0),
    TREADLE_BINARY("BitwiseAnd", "T=ints", infer_broadcast, (eval_binary<kAnd, IntegerTypes>),
                   kCommutative),
    TREADLE_BINARY("BitwiseOr", "T=ints", infer_broadcast, (eval_binary<kOr, IntegerTypes>),
                   kCommutative),
    TREADLE_BINARY("BitwiseXor", "T=ints", infer_broadcast, (eval_binary<kXor, IntegerTypes>),
                   kCommutative),
    TREADLE_COMPARE("And", "T=bool", (eval_compare<kAnd, BoolTypes>), kCommutative),
    TREADLE_COMPARE("Or", "T=bool", (eval_compare<kOr, BoolTypes>), kCommutative),
    TREADLE_COMPARE("Xor", "T=bool", (eval_compare<kXor, BoolTypes>), kCommutative),
    TREADLE_COMPARE("Less", "T=numbers", eval_compare<kLess>, 0),
    TREADLE_COMPARE("Greater", "T=numbers", eval_compare<kGreater>, 0),
    TREADLE_COMPARE("LessOrEqual", "T=numbers", eval_compare<kLessOrEqual>, 0),
    TREADLE_COMPARE("GreaterOrEqual", "T=numbers", eval_compare<kGreaterOrEqual>, 0),
    {.kind = "Equal",
     .inputs = "A:T B:T",
     .outputs = "C:bool",
     .types = "T=numbers,bool,string",
     .infer = infer_arithmetic<equal_values>,
     .eval = eval_compare<kEqual, EqualTypes>,
     .traits = kElementwise | kCommutative},
    {.kind = "Mod",
     .inputs = "A:T B:T",
     .outputs = "C:T",
     .types = "T=numbers",
     .attributes = "fmod:i=0",
     .infer = infer_mod,
     .eval = eval_mod,
     .traits = kElementwise},
    {.kind = "BitShift",
     .inputs = "X:T Y:T",
     .outputs = "Z:T",
     .types = "T=ints",
     .attributes = "direction:s!",
     .infer = infer_broadcast,
     .eval = eval_bit_shift,
     .traits = kElementwise},
    {.kind = "Pow",
     .inputs = "X:T Y:T1",
     .outputs = "Z:T",
     .types = "T=floats,int32,int64 T1=numbers",
     .infer = infer_broadcast,
     .eval = eval_pow,
     .traits = kElementwise},
    {.kind = "SwiGLU",
     .inputs = "A:T B:T",
     .outputs = "Y:T",
     .types = "T=floats",
     .attributes = "alpha:f=1",
     .infer = infer_same_shape,
     .decompose = decompose_swiglu,
     .traits = kElementwise},
    {.kind = "PRelu",
     .inputs = "X:T slope:T",
     .outputs = "Y:T",
     .types = "T=floats,int32,int64,uint32,uint64",
     .infer = infer_prelu,
     .eval = eval_prelu,
     .traits = kElementwise},
};

#undef TREADLE_BINARY
#undef TREADLE_COMPARE

}  // namespace

std::span<const OpDef> binary_ops() { return kRows; }

}  // namespace treadle

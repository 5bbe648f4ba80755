// Cast, CastLike, BitCast: every element type into every other.
#include "graph/ops/cast.h"

#include <bit>
#include <charconv>
#include <cstring>

#include "graph/ops/arithmetic.h"
#include "graph/ops/families.h"
#include "graph/ops/iterate.h"
#include "graph/ops/op.h"

namespace treadle {
namespace {

// ---- Text

template <class T>
std::string shortest(T x) {
  char buffer[400];  // the longest plain double has 17 digits after 307 zeros
  const double magnitude = std::fabs(static_cast<double>(x));
  const bool plain = magnitude == 0 || (magnitude >= 1e-4 && magnitude < 1e16);
  const auto format = plain ? std::chars_format::fixed : std::chars_format::scientific;
  const auto result = std::to_chars(buffer, buffer + sizeof buffer, x, format);
  return {buffer, result.ptr};
}

double parse_number(const std::string& text) {
  const char* begin = text.data();
  const char* end = begin + text.size();
  if (begin != end && *begin == '+') ++begin;
  double value = 0;
  const auto result = std::from_chars(begin, end, value);
  TREADLE_CHECK(result.ec != std::errc::invalid_argument && result.ptr == end && begin != end,
                kInvalidData, "cannot cast the string '", text, "' to a number");
  if (result.ec != std::errc::result_out_of_range) return value;
  const bool tiny = text.find("e-") != std::string::npos || text.find("E-") != std::string::npos;
  const double magnitude = tiny ? 0 : std::numeric_limits<double>::infinity();
  return *begin == '-' ? -magnitude : magnitude;
}

// The fewest digits that still read as the same 16-bit float.
template <class T>
std::string shortest_half(T x) {
  for (int digits = 1; digits < 9; ++digits) {
    char buffer[64];
    const auto result = std::to_chars(buffer, buffer + sizeof buffer, static_cast<float>(x),
                                      std::chars_format::general, digits);
    const double back = parse_number({buffer, result.ptr});
    if (T(static_cast<float>(back)).bits == x.bits) return shortest(static_cast<float>(back));
  }
  return shortest(static_cast<float>(x));
}

template <class T>
std::string number_text(T x) {
  if constexpr (std::is_same_v<T, bool>) {
    return x ? "True" : "False";
  } else if constexpr (std::is_integral_v<T>) {
    return std::to_string(x);
  } else {
    const auto value = static_cast<Compute<T>>(x);
    if (std::isnan(value)) return "NaN";
    if (std::isinf(value)) return value > 0 ? "INF" : "-INF";
    if constexpr (is_reduced_float<T>)
      return shortest_half(x);
    else
      return shortest(x);
  }
}

template <class T>
T parse_as(const std::string& text) {
  if constexpr (std::is_same_v<T, bool>) {
    if (text == "True" || text == "true") return true;
    if (text == "False" || text == "false") return false;
  } else if constexpr (std::is_integral_v<T>) {
    using Wide = std::conditional_t<std::is_signed_v<T>, int64_t, uint64_t>;
    const char* begin = text.data() + (text.starts_with('+') ? 1 : 0);
    const char* end = text.data() + text.size();
    Wide value = 0;
    const auto result = std::from_chars(begin, end, value);
    if (result.ec == std::errc{} && result.ptr == end) return static_cast<T>(value);
  }
  return convert<T>(parse_number(text));
}

// ---- Numbers

Tensor to_text(const Tensor& x) {
  Tensor y(DType::kString, x.dims());
  dispatch(x.dtype(), NumberOrBoolTypes{},
           [&]<class T>() { map_unary<T, std::string>(x, y, [](T e) { return number_text(e); }); });
  return y;
}

Tensor from_text(const Tensor& x, DType dtype) {
  Tensor y(dtype, x.dims());
  dispatch(dtype, NumberOrBoolTypes{}, [&]<class T>() {
    const auto from = x.data<std::string>();
    for (size_t i = 0; i < from.size(); ++i) y.data<T>()[i] = parse_as<T>(from[i]);
  });
  return y;
}

// As Float16 does it, but without branches: the weights of whole models go through it.
float widened(Float16 x) {
  constexpr uint32_t kBias = (127 - 15) << 23;
  const uint32_t magnitude = x.bits & 0x7fffu;
  const float subnormal = static_cast<float>(static_cast<int32_t>(magnitude)) * 0x1p-24f;
  const uint32_t infinite = magnitude >= 0x7c00u ? kBias : 0;
  const uint32_t normal = (magnitude << 13) + kBias + infinite;
  const uint32_t bits = magnitude < 0x400u ? std::bit_cast<uint32_t>(subnormal) : normal;
  return std::bit_cast<float>(bits | static_cast<uint32_t>(x.bits & 0x8000u) << 16);
}

void between_numbers(const Tensor& x, Tensor& y) {
  if (x.dtype() == DType::kFloat16 && y.dtype() == DType::kFloat)
    return map_unary<Float16, float>(x, y, [](Float16 e) { return widened(e); });
  dispatch(x.dtype(), NumberOrBoolTypes{}, [&]<class From>() {
    dispatch(y.dtype(), NumberOrBoolTypes{},
             [&]<class To>() { map_unary<From, To>(x, y, [](From e) { return convert<To>(e); }); });
  });
}

}  // namespace

Tensor cast_tensor(const Tensor& x, DType dtype, Narrowing how) {
  if (x.dtype() == dtype) return x;
  if (is_lowbit(x.dtype())) return cast_tensor(widen(x), dtype, how);
  if (is_lowbit(dtype)) {
    // By way of int8 a float below 0 keeps its low bits, as an integer does.
    return narrow(cast_tensor(x, is_float(dtype) ? DType::kFloat : DType::kInt8), dtype, how);
  }
  if (dtype == DType::kString) return to_text(x);
  if (x.dtype() == DType::kString) return from_text(x, dtype);
  Tensor y(dtype, x.dims());
  between_numbers(x, y);
  return y;
}

namespace {

DType target_dtype(const Attributes& a) {
  const int64_t to = a.i("to", 0);
  TREADLE_CHECK(to > 0 && to < kDTypeCount, kInvalidModel, "attribute 'to' is ", to,
                ", expected an element type, 1 to ", kDTypeCount - 1);
  return static_cast<DType>(to);
}

Narrowing narrowing(const Attributes& a) {
  const std::string mode = a.s("round_mode", "up");
  TREADLE_CHECK(mode == "up" || mode == "down" || mode == "nearest", kInvalidModel,
                "attribute 'round_mode' is '", mode, "', expected up, down or nearest");
  using Scale = Narrowing::Scale;
  return {.saturate = a.i("saturate", 1) != 0,
          .scale = mode == "up"     ? Scale::kUp
                   : mode == "down" ? Scale::kDown
                                    : Scale::kNearest};
}

void infer_as(InferContext& c, DType dtype) {
  c.set_dtype(0, dtype);
  const bool index = dtype == DType::kInt64 || dtype == DType::kInt32;
  if (const auto* values = c.values(0); values != nullptr && index) c.set_values(0, *values);
  c.set_shape(0, c.shape(0));
}

void eval_as(EvalContext& c, DType dtype) {
  constexpr DTypeSet kPlainNumbers = kNumbers | DTypeSet{DType::kBool};
  const Tensor& x = c.input(0);
  if (kPlainNumbers.has(x.dtype()) && kPlainNumbers.has(dtype))
    return between_numbers(x, c.output(0, dtype, x.dims()));
  const Tensor y = cast_tensor(x, dtype, narrowing(c.attributes()));
  copy_elements(y, c.output(0, dtype, y.dims()));
}

void infer_cast(InferContext& c) { infer_as(c, target_dtype(c.attributes())); }
void eval_cast(EvalContext& c) { eval_as(c, target_dtype(c.attributes())); }
void infer_cast_like(InferContext& c) { infer_as(c, c.dtype(1)); }
void eval_cast_like(EvalContext& c) { eval_as(c, c.dtype(1)); }

void infer_bit_cast(InferContext& c) {
  c.set_dtype(0, target_dtype(c.attributes()));
  c.set_shape(0, c.shape(0));
}

void eval_bit_cast(EvalContext& c) {
  const Tensor& x = c.input(0);
  const DType to = target_dtype(c.attributes());
  TREADLE_CHECK(dtype_bits(to) == dtype_bits(x.dtype()) && dtype_bits(to) != 0, kInvalidModel,
                "cannot reinterpret ", dtype_name(x.dtype()), " as ", dtype_name(to),
                ": the widths differ");
  Tensor& y = c.output(0, to, x.dims());
  if (x.bytes() != 0) std::memcpy(y.raw(), x.raw(), x.bytes());
}

constexpr const char* kFromTo = "T1=all T2=all";

constexpr OpDef kRows[] = {
    {.kind = "Cast",
     .inputs = "input:T1",
     .outputs = "output:any",
     .types = kFromTo,
     .attributes = "round_mode:s=up saturate:i=1 to:i!",
     .infer = infer_cast,
     .eval = eval_cast,
     .traits = kElementwise},
    {.kind = "CastLike",
     .inputs = "input:T1 target_type:T2",
     .outputs = "output:T2",
     .types = kFromTo,
     .attributes = "round_mode:s=up saturate:i=1",
     .infer = infer_cast_like,
     .eval = eval_cast_like},
    {.kind = "BitCast",
     .inputs = "input:T1",
     .outputs = "output:any",
     .types = kFromTo,
     .attributes = "to:i!",
     .infer = infer_bit_cast,
     .eval = eval_bit_cast,
     .traits = kElementwise},
};

}  // namespace

std::span<const OpDef> cast_ops() { return kRows; }

}  // namespace treadle

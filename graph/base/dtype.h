// Element types, numbered as in onnx.proto's TensorProto.DataType, their C++ twins, and dispatch
// over them.
#pragma once

#include <bit>
#include <complex>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>

#include "graph/base/error.h"

namespace treadle {

enum class DType : uint8_t {
  kUndefined = 0,
  kFloat = 1,
  kUint8 = 2,
  kInt8 = 3,
  kUint16 = 4,
  kInt16 = 5,
  kInt32 = 6,
  kInt64 = 7,
  kString = 8,
  kBool = 9,
  kFloat16 = 10,
  kDouble = 11,
  kUint32 = 12,
  kUint64 = 13,
  kComplex64 = 14,
  kComplex128 = 15,
  kBfloat16 = 16,
  kFloat8E4M3FN = 17,
  kFloat8E4M3FNUZ = 18,
  kFloat8E5M2 = 19,
  kFloat8E5M2FNUZ = 20,
  kUint4 = 21,
  kInt4 = 22,
  kFloat4E2M1 = 23,
  kFloat8E8M0 = 24,
  kUint2 = 25,
  kInt2 = 26,
  kFloat6E2M3 = 27,
  kFloat6E3M2 = 28,
};
inline constexpr int kDTypeCount = 29;

// ONNX's textual name: "float", "int64", "bfloat16"…
std::string_view dtype_name(DType dtype);
DType dtype_from_name(std::string_view name);  // kUndefined when unknown
// Bits of one element (packed types: 6, 4 or 2); 0 for string and undefined.
int dtype_bits(DType dtype);
bool is_float(DType dtype);    // floating of any width, not complex
bool is_integer(DType dtype);  // signed or unsigned, not bool

// IEEE binary16 and bfloat16 as storage; arithmetic happens in float.
struct Float16 {
  uint16_t bits = 0;
  Float16() = default;
  explicit Float16(float value);
  operator float() const;  // NOLINT(google-explicit-constructor): reads as a number everywhere
};
struct Bfloat16 {
  uint16_t bits = 0;
  Bfloat16() = default;
  explicit Bfloat16(float value);  // round to nearest even; NaN stays NaN
  operator float() const {         // NOLINT(google-explicit-constructor)
    return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
  }
};

// A set of dtypes, as a bit mask.
struct DTypeSet {
  uint32_t mask = 0;
  constexpr DTypeSet() = default;
  constexpr DTypeSet(std::initializer_list<DType> list) {
    for (DType d : list) mask |= 1u << static_cast<int>(d);
  }
  constexpr bool has(DType d) const { return (mask >> static_cast<int>(d)) & 1u; }
  constexpr DTypeSet operator|(DTypeSet other) const {
    DTypeSet both;
    both.mask = mask | other.mask;
    return both;
  }
};
inline constexpr DTypeSet kFloats{DType::kFloat, DType::kDouble, DType::kFloat16, DType::kBfloat16};
inline constexpr DTypeSet kSigned{DType::kInt8, DType::kInt16, DType::kInt32, DType::kInt64};
inline constexpr DTypeSet kUnsigned{DType::kUint8, DType::kUint16, DType::kUint32, DType::kUint64};
inline constexpr DTypeSet kIntegers = kSigned | kUnsigned;
inline constexpr DTypeSet kNumbers = kFloats | kIntegers;

template <class... Ts>
struct Types {};
using FloatTypes = Types<float, double, Float16, Bfloat16>;
using IntegerTypes =
    Types<int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t>;
using NumberTypes = Types<float, double, Float16, Bfloat16, int8_t, int16_t, int32_t, int64_t,
                          uint8_t, uint16_t, uint32_t, uint64_t>;
using NumberOrBoolTypes = Types<float, double, Float16, Bfloat16, int8_t, int16_t, int32_t, int64_t,
                                uint8_t, uint16_t, uint32_t, uint64_t, bool>;

template <class T>
struct DTypeOf;
#define TREADLE_DTYPE_OF(type, name)            \
  template <>                                   \
  struct DTypeOf<type> {                        \
    static constexpr DType value = DType::name; \
  }
TREADLE_DTYPE_OF(float, kFloat);
TREADLE_DTYPE_OF(double, kDouble);
TREADLE_DTYPE_OF(Float16, kFloat16);
TREADLE_DTYPE_OF(Bfloat16, kBfloat16);
TREADLE_DTYPE_OF(int8_t, kInt8);
TREADLE_DTYPE_OF(int16_t, kInt16);
TREADLE_DTYPE_OF(int32_t, kInt32);
TREADLE_DTYPE_OF(int64_t, kInt64);
TREADLE_DTYPE_OF(uint8_t, kUint8);
TREADLE_DTYPE_OF(uint16_t, kUint16);
TREADLE_DTYPE_OF(uint32_t, kUint32);
TREADLE_DTYPE_OF(uint64_t, kUint64);
TREADLE_DTYPE_OF(bool, kBool);
TREADLE_DTYPE_OF(std::string, kString);
TREADLE_DTYPE_OF(std::complex<float>, kComplex64);
TREADLE_DTYPE_OF(std::complex<double>, kComplex128);
#undef TREADLE_DTYPE_OF
template <class T>
inline constexpr DType dtype_of = DTypeOf<T>::value;

template <class T>
inline constexpr bool is_reduced_float = std::is_same_v<T, Float16> || std::is_same_v<T, Bfloat16>;
// The type in which T is computed: float for the 16-bit floats, T itself otherwise.
template <class T>
using Compute = std::conditional_t<is_reduced_float<T>, float, T>;
// The type in which sums of T are accumulated: double for floats, 64 bit for integers.
template <class T>
using Accumulate =
    std::conditional_t<std::is_integral_v<T>,
                       std::conditional_t<std::is_signed_v<T>, int64_t, uint64_t>, double>;

// Calls body.template operator()<T>() with the T of the list that is `dtype`; kUnsupported when
// none is.
template <class... Ts, class Body>
decltype(auto) dispatch(DType dtype, Types<Ts...>, Body&& body) {
  using First = std::tuple_element_t<0, std::tuple<Ts...>>;
  using Result = decltype(body.template operator()<First>());
  if constexpr (std::is_void_v<Result>) {
    const bool found =
        ((dtype == dtype_of<Ts> ? (body.template operator()<Ts>(), true) : false) || ...);
    TREADLE_CHECK(found, kUnsupported, "element type ", dtype_name(dtype),
                  " is not supported here");
  } else {
    Result result{};
    const bool found =
        ((dtype == dtype_of<Ts> ? (result = body.template operator()<Ts>(), true) : false) || ...);
    TREADLE_CHECK(found, kUnsupported, "element type ", dtype_name(dtype),
                  " is not supported here");
    return result;
  }
}

}  // namespace treadle

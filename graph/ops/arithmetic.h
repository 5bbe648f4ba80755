// Arithmetic on one element with every result defined: integers wrap, x / 0 = 0, floats follow IEEE
// 754.
#pragma once

#include <cmath>
#include <limits>
#include <type_traits>

#include "graph/base/dtype.h"

namespace treadle {

template <class T>
inline constexpr bool is_int = std::is_integral_v<T> && !std::is_same_v<T, bool>;

template <class T>
T add(T a, T b) {
  if constexpr (is_int<T>)
    return static_cast<T>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
  else
    return a + b;
}
template <class T>
T subtract(T a, T b) {
  if constexpr (is_int<T>)
    return static_cast<T>(static_cast<uint64_t>(a) - static_cast<uint64_t>(b));
  else
    return a - b;
}
template <class T>
T multiply(T a, T b) {
  if constexpr (is_int<T>)
    return static_cast<T>(static_cast<uint64_t>(a) * static_cast<uint64_t>(b));
  else
    return a * b;
}
template <class T>
T negate(T a) {
  if constexpr (is_int<T>)
    return subtract<T>(0, a);
  else
    return -a;
}
// Integers round towards zero.
template <class T>
T divide(T a, T b) {
  if constexpr (is_int<T>) {
    if (b == 0) return 0;
    if constexpr (std::is_signed_v<T>) {
      if (b == T(-1)) return negate(a);
    }
    return static_cast<T>(a / b);
  } else {
    return a / b;
  }
}
// a - trunc(a / b) * b: the sign of a.
template <class T>
T truncated_mod(T a, T b) {
  if constexpr (is_int<T>) {
    if (b == 0) return 0;
    if constexpr (std::is_signed_v<T>) {
      if (b == T(-1)) return 0;
    }
    return static_cast<T>(a % b);
  } else {
    return std::fmod(a, b);
  }
}
// a - floor(a / b) * b: the sign of b.
template <class T>
T floored_mod(T a, T b) {
  T r = truncated_mod(a, b);
  if constexpr (is_int<T>) {
    if constexpr (std::is_signed_v<T>) {
      if (r != 0 && (r < 0) != (b < 0)) r = add(r, b);
    }
    return r;
  } else {
    if (r == 0) return std::copysign(r, b);
    return (r < 0) != (b < 0) ? r + b : r;
  }
}

// The larger and the smaller of two; NaN when either is NaN.
template <class T>
T larger(T a, T b) {
  return a > b || a != a ? a : b;
}
template <class T>
T smaller(T a, T b) {
  return a < b || a != a ? a : b;
}

// A number as another type, as Cast does: integers keep their low bits, floats saturate into
// integers (NaN = 0), and become true unless they are 0.
template <class To, class From>
To convert(From x) {
  if constexpr (std::is_same_v<To, From>) {
    return x;
  } else if constexpr (is_reduced_float<From>) {
    return convert<To>(static_cast<float>(x));
  } else if constexpr (std::is_same_v<To, bool>) {
    return x != From{};
  } else if constexpr (is_reduced_float<To>) {
    return To(static_cast<float>(x));
  } else if constexpr (std::is_floating_point_v<From> && std::is_integral_v<To>) {
    using Limits = std::numeric_limits<To>;
    if (x != x) return 0;
    // 2^digits is exact in every float type; the largest integer need not be.
    constexpr From kEnd = static_cast<From>(Limits::max() / 2 + 1) * From{2};
    if (x >= kEnd) return Limits::max();
    if (x <= static_cast<From>(Limits::min())) return Limits::min();
    return static_cast<To>(x);
  } else {
    return static_cast<To>(x);
  }
}

// Whole powers by squaring, wrapping. A negative exponent leaves only 1 and -1 other than 0.
template <class T>
T integer_power(T base, int64_t exponent) {
  if (exponent < 0) {
    if (base == T{1}) return 1;
    if (negate(base) == T{1}) return exponent % 2 == 0 ? T{1} : base;
    return 0;
  }
  T result = 1;
  for (; exponent != 0; exponent >>= 1) {
    if ((exponent & 1) != 0) result = multiply(result, base);
    base = multiply(base, base);
  }
  return result;
}

}  // namespace treadle

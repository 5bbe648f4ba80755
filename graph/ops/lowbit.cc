#include "graph/ops/lowbit.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace treadle {
namespace {

// Sign, exponent and mantissa as in the OCP formats and ONNX's docs on float8.
struct Format {
  int mantissa = 0;  // bits
  int bias = 0;
  uint8_t sign = 0;      // its bit
  uint8_t largest = 0;   // bits of the largest finite value
  uint8_t infinity = 0;  // 0 = none
  uint8_t nan = 0;       // 0 = none
  bool signed_zero = true;
};

Format format_of(DType dtype) {
  switch (dtype) {
    case DType::kFloat8E4M3FN: return {3, 7, 0x80, 0x7e, 0, 0x7f, true};
    case DType::kFloat8E4M3FNUZ: return {3, 8, 0x80, 0x7f, 0, 0x80, false};
    case DType::kFloat8E5M2: return {2, 15, 0x80, 0x7b, 0x7c, 0x7e, true};
    case DType::kFloat8E5M2FNUZ: return {2, 16, 0x80, 0x7f, 0, 0x80, false};
    case DType::kFloat4E2M1:
      return {1, 1, 0x08, 0x07, 0, 0, true};  // NaN becomes -0, as ml_dtypes has it
    case DType::kFloat6E2M3: return {3, 1, 0x20, 0x1f, 0, 0, true};
    case DType::kFloat6E3M2: return {2, 3, 0x20, 0x1f, 0, 0, true};
    default: fail(Code::kInternal, dtype_name(dtype), " is not a narrow float");
  }
}

float decode(DType dtype, uint8_t bits) {
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  if (dtype == DType::kFloat8E8M0) return bits == 0xff ? kNan : std::ldexp(1.0f, bits - 127);
  const Format f = format_of(dtype);
  const int magnitude = bits & (f.sign - 1);
  const bool negative = (bits & f.sign) != 0;
  if (magnitude > f.largest || (!f.signed_zero && bits == f.nan)) {
    if (f.infinity == 0 || magnitude != f.infinity) return kNan;
    return negative ? -std::numeric_limits<float>::infinity()
                    : std::numeric_limits<float>::infinity();
  }
  const int exponent = magnitude >> f.mantissa;
  const int fraction = magnitude & ((1 << f.mantissa) - 1);
  const int whole = exponent == 0 ? fraction : fraction + (1 << f.mantissa);
  const float value =
      std::ldexp(static_cast<float>(whole), std::max(exponent, 1) - f.bias - f.mantissa);
  return negative ? -value : value;
}

uint8_t encode_scale(float x, Narrowing how) {
  if (std::isnan(x)) return 0xff;
  if (std::isinf(x) || x <= 0) return how.saturate ? (x > 0 ? 0xfe : 0) : 0xff;
  int exponent = 0;
  const float fraction = std::frexp(x, &exponent);  // in [0.5, 1)
  int code = exponent - 1 + 127;
  if (how.scale == Narrowing::Scale::kUp && fraction > 0.5f) ++code;
  if (how.scale == Narrowing::Scale::kNearest && fraction >= 0.75f) ++code;
  if (code < 0 || code > 0xfe)
    return how.saturate ? static_cast<uint8_t>(std::clamp(code, 0, 0xfe)) : 0xff;
  return static_cast<uint8_t>(code);
}

uint8_t encode(const Format& f, float x, bool saturate) {
  const uint8_t sign = std::signbit(x) ? f.sign : uint8_t{0};
  if (std::isnan(x))
    return f.nan == 0 ? f.sign : f.signed_zero ? static_cast<uint8_t>(f.nan | sign) : f.nan;
  const float magnitude = std::fabs(x);
  int64_t bits = int64_t{f.largest} + 1;  // overflows, unless it is found to fit
  if (magnitude < 1e6f) {
    const int exponent = magnitude == 0 ? 1 - f.bias : std::max(std::ilogb(magnitude), 1 - f.bias);
    const auto whole =
        static_cast<int64_t>(std::nearbyint(std::ldexp(magnitude, f.mantissa - exponent)));
    // The implicit bit of a normal value, and a carry out of the mantissa, both add one to the
    // exponent.
    bits = (int64_t{exponent + f.bias - 1} << f.mantissa) + whole;
  }
  if (bits > f.largest) {
    if (saturate || f.nan == 0) return static_cast<uint8_t>(f.largest | sign);
    if (f.infinity != 0) return static_cast<uint8_t>(f.infinity | sign);
    return f.signed_zero ? static_cast<uint8_t>(f.nan | sign) : f.nan;
  }
  if (bits == 0 && !f.signed_zero) return 0;
  return static_cast<uint8_t>(bits | sign);
}

bool is_signed_int(DType dtype) { return dtype == DType::kInt4 || dtype == DType::kInt2; }

}  // namespace

bool is_lowbit(DType dtype) { return dtype >= DType::kFloat8E4M3FN && dtype <= DType::kFloat6E3M2; }

DType widened_dtype(DType dtype) {
  if (is_float(dtype)) return DType::kFloat;
  return is_signed_int(dtype) ? DType::kInt8 : DType::kUint8;
}

Tensor widen(const Tensor& x) {
  Tensor y(widened_dtype(x.dtype()), x.dims());
  const int width = dtype_bits(x.dtype());
  if (is_float(x.dtype())) {
    std::array<float, 256> table{};
    for (size_t bits = 0; bits < (size_t{1} << width); ++bits) {
      table[bits] = decode(x.dtype(), static_cast<uint8_t>(bits));
    }
    const auto to = y.data<float>();
    for (int64_t i = 0; i < x.count(); ++i)
      to[static_cast<size_t>(i)] = table[packed_element(x.raw(), width, i)];
    return y;
  }
  const uint8_t sign =
      is_signed_int(x.dtype()) ? static_cast<uint8_t>(1u << (width - 1)) : uint8_t{0};
  auto* to = reinterpret_cast<uint8_t*>(y.raw());
  for (int64_t i = 0; i < x.count(); ++i) {
    const uint8_t bits = packed_element(x.raw(), width, i);
    to[i] = static_cast<uint8_t>((bits ^ sign) - sign);  // extends the sign
  }
  return y;
}

Tensor narrow(const Tensor& x, DType dtype, Narrowing how) {
  const bool bytes = !is_float(dtype) && (x.dtype() == DType::kInt8 || x.dtype() == DType::kUint8);
  TREADLE_CHECK(bytes || x.dtype() == widened_dtype(dtype), kInternal, "narrowing ",
                dtype_name(x.dtype()), " to ", dtype_name(dtype));
  Tensor y = Tensor::zeros(dtype, x.dims());
  const int width = dtype_bits(dtype);
  if (!is_float(dtype)) {
    const auto* from = reinterpret_cast<const uint8_t*>(x.raw());
    for (int64_t i = 0; i < x.count(); ++i) put_packed_element(y.raw(), width, i, from[i]);
    return y;
  }
  const auto from = x.data<float>();
  const Format format = dtype == DType::kFloat8E8M0 ? Format{} : format_of(dtype);
  for (int64_t i = 0; i < x.count(); ++i) {
    const float value = from[static_cast<size_t>(i)];
    const uint8_t bits = dtype == DType::kFloat8E8M0 ? encode_scale(value, how)
                                                     : encode(format, value, how.saturate);
    put_packed_element(y.raw(), width, i, bits);
  }
  return y;
}

}  // namespace treadle

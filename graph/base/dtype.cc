#include "graph/base/dtype.h"

#include <array>
#include <cmath>

namespace treadle {
namespace {

struct DTypeRow {
  std::string_view name;
  int bits;
};
constexpr std::array<DTypeRow, kDTypeCount> kRows = {{
    {"undefined", 0},      {"float", 32},       {"uint8", 8},          {"int8", 8},
    {"uint16", 16},        {"int16", 16},       {"int32", 32},         {"int64", 64},
    {"string", 0},         {"bool", 8},         {"float16", 16},       {"double", 64},
    {"uint32", 32},        {"uint64", 64},      {"complex64", 64},     {"complex128", 128},
    {"bfloat16", 16},      {"float8e4m3fn", 8}, {"float8e4m3fnuz", 8}, {"float8e5m2", 8},
    {"float8e5m2fnuz", 8}, {"uint4", 4},        {"int4", 4},           {"float4e2m1", 4},
    {"float8e8m0", 8},     {"uint2", 2},        {"int2", 2},           {"float6e2m3", 6},
    {"float6e3m2", 6},
}};

}  // namespace

std::string_view dtype_name(DType dtype) {
  const auto i = static_cast<size_t>(dtype);
  return i < kRows.size() ? kRows[i].name : "undefined";
}

DType dtype_from_name(std::string_view name) {
  for (size_t i = 0; i < kRows.size(); ++i) {
    if (kRows[i].name == name) return static_cast<DType>(i);
  }
  return DType::kUndefined;
}

int dtype_bits(DType dtype) {
  const auto i = static_cast<size_t>(dtype);
  return i < kRows.size() ? kRows[i].bits : 0;
}

bool is_float(DType d) {
  return kFloats.has(d) || (d >= DType::kFloat8E4M3FN && d <= DType::kFloat8E5M2FNUZ) ||
         d == DType::kFloat4E2M1 || d == DType::kFloat8E8M0 || d == DType::kFloat6E2M3 ||
         d == DType::kFloat6E3M2;
}

bool is_integer(DType d) {
  return kIntegers.has(d) || d == DType::kUint4 || d == DType::kInt4 || d == DType::kUint2 ||
         d == DType::kInt2;
}

Float16::Float16(float value) {
  const auto f = std::bit_cast<uint32_t>(value);
  const uint32_t sign = (f >> 16) & 0x8000u;
  const uint32_t magnitude = f & 0x7fffffffu;
  uint32_t half;
  if (magnitude >= 0x7f800000u) {  // Inf or NaN: keep a NaN's quiet bit set
    half = 0x7c00u | (magnitude > 0x7f800000u ? 0x200u | ((magnitude >> 13) & 0x3ffu) : 0u);
  } else if (magnitude >= 0x477ff000u) {  // rounds to 65520 or more
    half = 0x7c00u;
  } else if (magnitude < 0x38800000u) {  // subnormal: add a magic number so that the FPU rounds
    const float shifted = std::bit_cast<float>(magnitude) + 0.5f;
    half = std::bit_cast<uint32_t>(shifted) - 0x3f000000u;
  } else {
    half = (magnitude - 0x38000000u + 0xfffu + ((magnitude >> 13) & 1u)) >> 13;
  }
  bits = static_cast<uint16_t>(sign | half);
}

Float16::operator float() const {
  const uint32_t sign = static_cast<uint32_t>(bits & 0x8000u) << 16;
  const uint32_t exponent = (bits >> 10) & 0x1fu;
  const uint32_t mantissa = bits & 0x3ffu;
  if (exponent == 0x1fu) return std::bit_cast<float>(sign | 0x7f800000u | (mantissa << 13));
  if (exponent == 0) {
    const float value = static_cast<float>(mantissa) * 0x1p-24f;
    return sign != 0 ? -value : value;
  }
  return std::bit_cast<float>(sign | ((exponent + 112u) << 23) | (mantissa << 13));
}

Bfloat16::Bfloat16(float value) {
  const auto f = std::bit_cast<uint32_t>(value);
  if (std::isnan(value)) {
    bits = static_cast<uint16_t>((f >> 16) | 0x40u);
  } else {
    bits = static_cast<uint16_t>((f + 0x7fffu + ((f >> 16) & 1u)) >> 16);
  }
}

}  // namespace treadle

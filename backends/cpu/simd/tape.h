// A tape: a short list of elementwise instructions over registers, each a run of at most kTile
// floats. It is what a fused elementwise region, or a single elementwise node, becomes.
#pragma once

#include <cstddef>
#include <cstdint>

namespace treadle::cpu {

// Truth values are 1 and 0.
enum class TapeOp : uint8_t {
  kCopy,
  kAdd,
  kSub,
  kMul,
  kDiv,
  kMax,
  kMin,
  kAffine,  // a * p + q
  kClamp,   // a within [p, q]
  kMulAdd,  // a * b + c
  kNeg,
  kAbs,
  kSqrt,
  kReciprocal,
  kSign,
  kFloor,
  kCeil,
  kRound,
  kExp,
  kLog,
  kTanh,
  kSigmoid,
  kErf,
  kSilu,       // a * sigmoid(p * a)
  kGelu,       // a * (1 + erf(a / √2)) / 2
  kHardSwish,  // a * clamp(a / 6 + 1/2, 0, 1)
  kEqual,
  kLess,
  kLessOrEqual,
  kNot,
  kAnd,
  kOr,
  kXor,
  kIsNan,
  kWhere,         // a ? b : c
  kDequantize,    // (a - q) * p
  kQuantizeInt8,  // a / p rounded, halves to even (0 where NaN), + q, within the type
  kQuantizeUint8,
  kCall,
  kCall2,  // f(a), f(a, b), one by one
};

struct TapeInstr {
  TapeOp op = TapeOp::kCopy;
  uint16_t out = 0;
  uint16_t a = 0;
  uint16_t b = 0;
  uint16_t c = 0;
  float p = 0;
  float q = 0;
  float (*call)(float) = nullptr;
  float (*call2)(float, float) = nullptr;
};

inline constexpr size_t kTile = 512;

// Runs the instructions over the first n <= kTile elements of the registers.
using TapeFn = void (*)(const TapeInstr* code, size_t count, float* const* registers, size_t n);
TapeFn tape_function();

// n bytes as floats, and floats that are whole numbers of the type as bytes.
struct ByteFunctions {
  void (*widen_int8)(const int8_t* from, float* to, size_t n);
  void (*widen_uint8)(const uint8_t* from, float* to, size_t n);
  void (*narrow_int8)(const float* from, int8_t* to, size_t n);
  void (*narrow_uint8)(const float* from, uint8_t* to, size_t n);
};
const ByteFunctions& byte_functions();

}  // namespace treadle::cpu

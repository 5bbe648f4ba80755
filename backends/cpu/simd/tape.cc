#include "backends/cpu/simd/tape.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/simd/tape.cc"
#include <hwy/foreach_target.h>

#include "backends/cpu/simd/math.h"
#include "backends/cpu/simd/quantize.h"
#include "backends/cpu/simd/simd.h"

HWY_BEFORE_NAMESPACE();
namespace treadle::cpu::HWY_NAMESPACE {

using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;
constexpr D d;

template <class F>
HWY_INLINE void each(const float* a, float* out, size_t n, F f) {
  const size_t lanes = hn::Lanes(d);
  size_t i = 0;
  for (; i + lanes <= n; i += lanes) hn::StoreU(f(hn::LoadU(d, a + i)), d, out + i);
  if (i < n) store_part(d, f(load_part(d, a + i, n - i)), out + i, n - i);
}

template <class F>
HWY_INLINE void each2(const float* a, const float* b, float* out, size_t n, F f) {
  const size_t lanes = hn::Lanes(d);
  size_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    hn::StoreU(f(hn::LoadU(d, a + i), hn::LoadU(d, b + i)), d, out + i);
  }
  if (i < n) {
    store_part(d, f(load_part(d, a + i, n - i), load_part(d, b + i, n - i)), out + i, n - i);
  }
}

struct Sources {
  const float* a;
  const float* b;
  const float* c;
};

template <class F>
HWY_INLINE void each3(const Sources& s, float* out, size_t n, F f) {
  const size_t lanes = hn::Lanes(d);
  size_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    hn::StoreU(f(hn::LoadU(d, s.a + i), hn::LoadU(d, s.b + i), hn::LoadU(d, s.c + i)), d, out + i);
  }
  if (i < n) {
    const size_t r = n - i;
    store_part(d, f(load_part(d, s.a + i, r), load_part(d, s.b + i, r), load_part(d, s.c + i, r)),
               out + i, r);
  }
}

template <class M>
HWY_INLINE V truth(M mask) {
  return hn::IfThenElseZero(mask, hn::Set(d, 1.0f));
}
HWY_INLINE auto is_true(V v) { return hn::Not(hn::Eq(v, hn::Zero(d))); }

HWY_INLINE V sign_of(V x) {
  const V zero = hn::Zero(d);
  const V one = hn::Set(d, 1.0f);
  return hn::IfThenElse(hn::Gt(x, zero), one, hn::IfThenElse(hn::Lt(x, zero), hn::Neg(one), x));
}
HWY_INLINE V hard_swish_of(V x) {
  const V gate = hn::MulAdd(x, hn::Set(d, 1.0f / 6.0f), hn::Set(d, 0.5f));
  return hn::Mul(x, clamp(gate, hn::Zero(d), hn::Set(d, 1.0f)));
}

// To the 256 numbers from `low` on.
void quantize(const float* from, float* to, size_t n, const TapeInstr& t, float low) {
  const V scale = hn::Set(d, t.p), zero = hn::Set(d, t.q);
  const float least = low - t.q, most = least + 255;
  const auto rounded = [](V scaled) HWY_ATTR {
    return hn::IfThenZeroElse(hn::IsNaN(scaled), hn::Round(scaled));
  };
  if (t.p >= kLeastScale && t.p <= 1 / kLeastScale) {
    const V inverse = hn::Set(d, 1 / t.p);
    const V low_x = hn::Set(d, least * t.p), high_x = hn::Set(d, most * t.p);
    return each(from, to, n, [=](V x) HWY_ATTR {
      return hn::Add(rounded(quotient_of(clamp(x, low_x, high_x), scale, inverse)), zero);
    });
  }
  const V low_y = hn::Set(d, low), high_y = hn::Set(d, low + 255);
  each(from, to, n, [=](V x) HWY_ATTR {
    return clamp(hn::Add(rounded(hn::Div(x, scale)), zero), low_y, high_y);
  });
}

template <class T>
void widen(const T* from, float* to, size_t n) {
  const hn::Rebind<T, D> bytes;
  const hn::Rebind<int32_t, D> ints;
  const size_t lanes = hn::Lanes(d);
  size_t i = 0;
  for (; i + lanes <= n; i += lanes)
    hn::StoreU(hn::ConvertTo(d, hn::PromoteTo(ints, hn::LoadU(bytes, from + i))), d, to + i);
  for (; i < n; ++i) to[i] = static_cast<float>(from[i]);
}
// Of whole numbers that T holds: the last bits of their sums with a number whose last bit is
// worth 1.
template <class T>
void narrow(const float* from, T* to, size_t n) {
  const hn::Rebind<uint8_t, D> bytes;
  const hn::Rebind<uint32_t, D> words;
  const V ones = hn::Set(d, 12582912.0f);  // 1.5 * 2^23
  const size_t lanes = hn::Lanes(d);
  auto* const out = reinterpret_cast<uint8_t*>(to);
  size_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    const auto sums = hn::BitCast(words, hn::Add(hn::LoadU(d, from + i), ones));
    hn::StoreU(hn::TruncateTo(bytes, sums), bytes, out + i);
  }
  for (; i < n; ++i) to[i] = static_cast<T>(from[i]);
}

#define TREADLE_UNARY(name, expression) \
  case TapeOp::name:                    \
    return each(a, out, n, [](V x) HWY_ATTR { return expression; })
#define TREADLE_BINARY(name, expression) \
  case TapeOp::name: return each2(a, b, out, n, [](V x, V y) HWY_ATTR { return expression; })

void simple_step(const TapeInstr& t, const Sources& s, float* out, size_t n) {
  const float* a = s.a;
  const float* b = s.b;
  switch (t.op) {
    TREADLE_UNARY(kCopy, x);
    TREADLE_UNARY(kNeg, hn::Neg(x));
    TREADLE_UNARY(kAbs, hn::Abs(x));
    TREADLE_UNARY(kSqrt, hn::Sqrt(x));
    TREADLE_UNARY(kReciprocal, hn::Div(hn::Set(d, 1.0f), x));
    TREADLE_UNARY(kSign, sign_of(x));
    TREADLE_UNARY(kFloor, hn::Floor(x));
    TREADLE_UNARY(kCeil, hn::Ceil(x));
    TREADLE_UNARY(kRound, hn::Round(x));
    TREADLE_UNARY(kExp, exp_of(d, x));
    TREADLE_UNARY(kLog, log_of(d, x));
    TREADLE_UNARY(kTanh, tanh_of(d, x));
    TREADLE_UNARY(kSigmoid, sigmoid_of(d, x));
    TREADLE_UNARY(kErf, erf_of(d, x));
    TREADLE_UNARY(kGelu, gelu_of(d, x));
    TREADLE_UNARY(kHardSwish, hard_swish_of(x));
    TREADLE_UNARY(kNot, truth(hn::Eq(x, hn::Zero(d))));
    TREADLE_UNARY(kIsNan, truth(hn::IsNaN(x)));
    TREADLE_BINARY(kAdd, hn::Add(x, y));
    TREADLE_BINARY(kSub, hn::Sub(x, y));
    TREADLE_BINARY(kMul, hn::Mul(x, y));
    TREADLE_BINARY(kDiv, hn::Div(x, y));
    TREADLE_BINARY(kMax, max_of(x, y));
    TREADLE_BINARY(kMin, min_of(x, y));
    TREADLE_BINARY(kEqual, truth(hn::Eq(x, y)));
    TREADLE_BINARY(kLess, truth(hn::Lt(x, y)));
    TREADLE_BINARY(kLessOrEqual, truth(hn::Le(x, y)));
    TREADLE_BINARY(kAnd, truth(hn::And(is_true(x), is_true(y))));
    TREADLE_BINARY(kOr, truth(hn::Or(is_true(x), is_true(y))));
    TREADLE_BINARY(kXor, truth(hn::Xor(is_true(x), is_true(y))));
    default: break;
  }
}

// Instructions with parameters or three operands.
void step(const TapeInstr& t, const Sources& s, float* out, size_t n) {
  const V p = hn::Set(d, t.p);
  const V q = hn::Set(d, t.q);
  switch (t.op) {
    case TapeOp::kAffine:
      return each(s.a, out, n, [=](V x) HWY_ATTR { return hn::MulAdd(x, p, q); });
    case TapeOp::kClamp: return each(s.a, out, n, [=](V x) HWY_ATTR { return clamp(x, p, q); });
    case TapeOp::kDequantize:
      return each(s.a, out, n, [=](V x) HWY_ATTR { return hn::Mul(hn::Sub(x, q), p); });
    case TapeOp::kQuantizeInt8: return quantize(s.a, out, n, t, -128);
    case TapeOp::kQuantizeUint8: return quantize(s.a, out, n, t, 0);
    case TapeOp::kSilu:
      if (t.p == 1) return each(s.a, out, n, [](V x) HWY_ATTR { return swish_of(d, x); });
      return each(s.a, out, n, [=](V x) HWY_ATTR { return swish_of(d, x, p); });
    case TapeOp::kMulAdd:
      return each3(s, out, n, [](V x, V y, V z) HWY_ATTR { return hn::MulAdd(x, y, z); });
    case TapeOp::kWhere:
      return each3(s, out, n,
                   [](V x, V y, V z) HWY_ATTR { return hn::IfThenElse(is_true(x), y, z); });
    case TapeOp::kCall:
      for (size_t i = 0; i < n; ++i) out[i] = t.call(s.a[i]);
      return;
    case TapeOp::kCall2:
      for (size_t i = 0; i < n; ++i) out[i] = t.call2(s.a[i], s.b[i]);
      return;
    default: return simple_step(t, s, out, n);
  }
}

void run_tape(const TapeInstr* code, size_t count, float* const* registers, size_t n) {
  for (size_t i = 0; i < count; ++i) {
    const TapeInstr& t = code[i];
    step(t, {registers[t.a], registers[t.b], registers[t.c]}, registers[t.out], n);
  }
}

const ByteFunctions& byte_table() {
  static const ByteFunctions table{widen<int8_t>, widen<uint8_t>, narrow<int8_t>, narrow<uint8_t>};
  return table;
}

}  // namespace treadle::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace treadle::cpu {

const ByteFunctions& byte_functions() { return TREADLE_DISPATCH(byte_table)(); }

TapeFn tape_function() { return TREADLE_DISPATCH(run_tape); }

}  // namespace treadle::cpu
#endif

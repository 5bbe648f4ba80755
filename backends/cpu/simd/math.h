// Vector functions of the native kernels, for the instruction set being compiled. Included by
// simd/*.cc only, after hwy/foreach_target.h. All keep NaN; errors are at most a few units in the
// last place.
#include <hwy/highway.h>

#include <iterator>
#include <limits>

#if defined(TREADLE_CPU_SIMD_MATH_H) == defined(HWY_TARGET_TOGGLE)
#ifdef TREADLE_CPU_SIMD_MATH_H
#undef TREADLE_CPU_SIMD_MATH_H
#else
#define TREADLE_CPU_SIMD_MATH_H
#endif

HWY_BEFORE_NAMESPACE();
namespace treadle::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

inline constexpr float kInf = std::numeric_limits<float>::infinity();

// Lanes [0, n) of a row's end; n is less than a vector.
template <class D>
HWY_INLINE hn::Vec<D> load_part(D d, const float* from, size_t n) {
#if HWY_TARGET == HWY_SCALAR
  return n == 0 ? hn::Zero(d) : hn::LoadU(d, from);
#else
  return hn::MaskedLoad(hn::FirstN(d, n), d, from);
#endif
}
template <class D, class V>
HWY_INLINE void store_part(D d, V v, float* to, size_t n) {
#if HWY_TARGET == HWY_SCALAR
  if (n != 0) hn::StoreU(v, d, to);
#else
  hn::BlendedStore(v, hn::FirstN(d, n), d, to);
#endif
}

// y[i] = f(x[i], i) of vectors; the last one has zeros behind the n floats. y may be x.
template <class D, class F>
HWY_INLINE void map_row(D d, const float* x, float* y, size_t n, const F& f) {
  const size_t lanes = hn::Lanes(d);
  size_t i = 0;
  for (; i + lanes <= n; i += lanes) hn::StoreU(f(hn::LoadU(d, x + i), i), d, y + i);
  if (i < n) store_part(d, f(load_part(d, x + i, n - i), i), y + i, n - i);
}

#if HWY_TARGET != HWY_SCALAR
// Elements k to k + 3 of columns i, i + 4, i + 8 …
template <class D, class T>
HWY_INLINE hn::Vec<D> every_fourth(D d, const T* const* columns, size_t i, size_t k) {
  auto all = hn::LoadDup128(d, columns[i] + k);
#pragma GCC unroll 4
  for (size_t at = 4; at < hn::MaxLanes(d); at += 4)
    all = hn::IfThenElse(hn::FirstN(d, at), all, hn::LoadDup128(d, columns[i + at] + k));
  return all;
}
#endif

// A vector's worth of columns of 4-byte elements: elements k to k + 3 become parts of four rows.
template <class D, class T>
HWY_INLINE void transpose_four(D d, const T* const* columns, size_t k, T* to, size_t row) {
#if HWY_TARGET == HWY_SCALAR
  (void)d;
  for (size_t i = 0; i < 4; ++i) to[i * row] = columns[0][k + i];
#else
  const hn::Repartition<uint64_t, D> pairs;
  const auto a = every_fourth(d, columns, 0, k), b = every_fourth(d, columns, 1, k);
  const auto c = every_fourth(d, columns, 2, k), e = every_fourth(d, columns, 3, k);
  const auto ab_low = hn::BitCast(pairs, hn::InterleaveLower(d, a, b));
  const auto ab_high = hn::BitCast(pairs, hn::InterleaveUpper(d, a, b));
  const auto ce_low = hn::BitCast(pairs, hn::InterleaveLower(d, c, e));
  const auto ce_high = hn::BitCast(pairs, hn::InterleaveUpper(d, c, e));
  hn::StoreU(hn::BitCast(d, hn::InterleaveLower(pairs, ab_low, ce_low)), d, to);
  hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(pairs, ab_low, ce_low)), d, to + row);
  hn::StoreU(hn::BitCast(d, hn::InterleaveLower(pairs, ab_high, ce_high)), d, to + 2 * row);
  hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(pairs, ab_high, ce_high)), d, to + 3 * row);
#endif
}

// Rows of a product whose sums of two vectors leave registers for the operands: 12 where there are
// 32 registers, 6 of 16.
inline constexpr size_t kRowsAtOnce = HWY_MAX_BYTES >= 64 ? 12 : 6;

// f(first, count) for all of `rows`, in as few pieces of at most `most` as there can be, of about
// equal size.
template <class F>
HWY_INLINE void for_equal_pieces(size_t rows, size_t most, const F& f) {
  for (size_t row = 0, pieces = (rows + most - 1) / most; pieces > 0; --pieces) {
    const size_t count = (rows - row + pieces - 1) / pieces;
    f(row, count);
    row += count;
  }
}

// The greater and the smaller, NaN where either is.
template <class V>
HWY_INLINE V max_of(V a, V b) {
#if HWY_TARGET == HWY_SCALAR
  return hn::IfThenElse(hn::Or(hn::Gt(a, b), hn::IsNaN(a)), a, b);
#else
  return hn::IfThenElse(hn::IsNaN(a), a, hn::Max(a, b));  // x86 gives the second where one is NaN
#endif
}
template <class V>
HWY_INLINE V min_of(V a, V b) {
#if HWY_TARGET == HWY_SCALAR
  return hn::IfThenElse(hn::Or(hn::Lt(a, b), hn::IsNaN(a)), a, b);
#else
  return hn::IfThenElse(hn::IsNaN(a), a, hn::Min(a, b));
#endif
}
// x, or the bound, which is not NaN.
template <class V>
HWY_INLINE V at_least(V x, V low) {
#if HWY_TARGET == HWY_SCALAR
  return max_of(x, low);
#else
  return hn::Max(low, x);  // x86 gives the second operand where one is NaN
#endif
}
template <class V>
HWY_INLINE V at_most(V x, V high) {
#if HWY_TARGET == HWY_SCALAR
  return min_of(x, high);
#else
  return hn::Min(high, x);
#endif
}
template <class V>
HWY_INLINE V clamp(V x, V low, V high) {
  return at_most(at_least(x, low), high);
}

// x / by, rounded as a division rounds it but where it is next to 0, in fewer cycles: one more step
// after the product with `inverse`, 1 / by, which is finite and not denormal.
template <class V>
HWY_INLINE V quotient_of(V x, V by, V inverse) {
#if HWY_NATIVE_FMA
  const V near = hn::Mul(x, inverse);
  return hn::MulAdd(hn::NegMulAdd(near, by, x), inverse, near);
#else
  (void)inverse;
  return hn::Div(x, by);
#endif
}

// Horner's scheme over constants, the highest power first.
template <class D, class V, size_t N>
HWY_INLINE V polynomial(D d, V x, const float (&c)[N]) {
  V p = hn::Set(d, c[0]);
  for (size_t i = 1; i < N; ++i) p = hn::MulAdd(p, x, hn::Set(d, c[i]));
  return p;
}

// e^z as y * 2^k, y near 1. In floats of the sum's size units are the last bits: those of `biased`
// are k + kBias. The polynomial is minimax for the relative error of e^r, 3e-9.
template <class D>
struct ExpParts {
  hn::Vec<D> y;
  hn::Vec<hn::RebindToUnsigned<D>> biased;
};
template <int kBias, class D, class V>
HWY_INLINE ExpParts<D> exp_parts(D d, V z) {
  constexpr float kUnits = 12582912.0f + kBias;
  const V sum = hn::MulAdd(z, hn::Set(d, 1.44269504088896341f), hn::Set(d, kUnits));
  const V k = hn::Sub(sum, hn::Set(d, kUnits));
  V r = hn::MulAdd(k, hn::Set(d, -0.693359375f), z);
  r = hn::MulAdd(k, hn::Set(d, 2.12194440e-4f), r);
  static constexpr float kP[] = {1.3814539879e-3f,
                                 8.3687451271e-3f,
                                 4.1668390790e-2f,
                                 1.6666520399e-1f,
                                 4.9999993432e-1f,
                                 1.0f,
                                 1.0f};
  return {polynomial(d, r, kP), hn::BitCast(hn::RebindToUnsigned<D>(), sum)};
}
// 2^k where the last bits are k + 127; of these 0 and 255 stand for zero and infinity.
template <class D, class VI>
HWY_INLINE hn::Vec<D> power_of_two(D d, VI biased) {
  return hn::BitCast(d, hn::ShiftLeft<23>(biased));
}

// Denormal results are right, the scale being applied in two steps.
template <class D, class V>
HWY_INLINE V exp_of(D d, V x) {
  const auto e = exp_parts<2 * 127>(d, clamp(x, hn::Set(d, -104.0f), hn::Set(d, 89.0f)));
  const auto half = hn::ShiftRight<1>(e.biased);
  return hn::Mul(hn::Mul(e.y, power_of_two(d, half)), power_of_two(d, hn::Sub(e.biased, half)));
}

// e^x for x that are not above 0. Where 2^-127 is nearest it is 0. NaN stays.
template <class D, class V>
HWY_INLINE V exp_below(D d, V x) {
  const auto e = exp_parts<127>(d, at_least(x, hn::Set(d, -88.0f)));
  return hn::Mul(e.y, power_of_two(d, e.biased));
}

// 1 + e^-x, within 3 units in the last place for |x| < 30 and 6 beyond. Shorter than exp_of: there
// are no denormals to make, and an exact product with ln 2 leaves its rounding, 2e-9 of k. Where
// e^-x is beyond 2^127 it is taken for infinite.
template <class D, class V>
HWY_INLINE V one_plus_exp_minus(D d, V x) {
  constexpr float kUnits = 12582912.0f + 127;
  const V z = clamp(x, hn::Set(d, -89.0f), hn::Set(d, 87.0f));
  const V sum = hn::NegMulAdd(z, hn::Set(d, 1.44269504088896341f), hn::Set(d, kUnits));
  const V k = hn::Sub(sum, hn::Set(d, kUnits));
#if HWY_NATIVE_FMA
  const V r = hn::MulAdd(k, hn::Set(d, 0.693147180559945309f), z);
#else
  V r = hn::MulAdd(k, hn::Set(d, 0.693359375f), z);
  r = hn::MulAdd(k, hn::Set(d, -2.12194440e-4f), r);
#endif
  // As in exp_parts, of -r.
  static constexpr float kP[] = {1.3814539879e-3f,
                                 -8.3687451271e-3f,
                                 4.1668390790e-2f,
                                 -1.6666520399e-1f,
                                 4.9999993432e-1f,
                                 -1.0f,
                                 1.0f};
  const auto scale = power_of_two(d, hn::BitCast(hn::RebindToUnsigned<D>(), sum));
  return hn::MulAdd(polynomial(d, r, kP), scale, hn::Set(d, 1.0f));
}

template <class D, class V>
HWY_INLINE V sigmoid_of(D d, V x) {
  return hn::Div(hn::Set(d, 1.0f), one_plus_exp_minus(d, x));
}
// x / (1 + e^-ax)
template <class D, class V>
HWY_INLINE V swish_of(D d, V x, V a) {
  return hn::Div(x, one_plus_exp_minus(d, hn::Mul(a, x)));
}
template <class D, class V>
HWY_INLINE V swish_of(D d, V x) {
  return hn::Div(x, one_plus_exp_minus(d, x));
}

// Rational approximations as in Eigen (MPL2): minimax on the range where the result is not yet ±1.
template <class D, class V>
HWY_INLINE V tanh_of(D d, V x) {
  static constexpr float kP[] = {
      -2.76076847742355e-16f, 2.00018790482477e-13f, -8.60467152213735e-11f, 5.12229709037114e-08f,
      1.48572235717979e-05f,  6.37261928875436e-04f, 4.89352455891786e-03f};
  static constexpr float kQ[] = {1.19825839466702e-06f, 1.18534705686654e-04f,
                                 2.26843463243900e-03f, 4.89352518554385e-03f};
  const V bounded = clamp(x, hn::Set(d, -7.90531110763549805f), hn::Set(d, 7.90531110763549805f));
  const V square = hn::Mul(bounded, bounded);
  const V y = hn::Div(hn::Mul(bounded, polynomial(d, square, kP)), polynomial(d, square, kQ));
  const V size = hn::Abs(x);
  const V bent = hn::IfThenElse(hn::Lt(size, hn::Set(d, 4e-4f)), x, y);
  return hn::IfThenElse(hn::Gt(size, hn::Set(d, 7.9f)), hn::CopySign(hn::Set(d, 1.0f), x), bent);
}
template <class D, class V>
HWY_INLINE V erf_of(D d, V x) {
  static constexpr float kP[] = {-2.72614225801306e-10f, 2.77068142495902e-08f,
                                 -2.10102402082508e-06f, -5.69250639462346e-05f,
                                 -7.34990630326855e-04f, -2.95459980854025e-03f,
                                 -1.60960333262415e-02f};
  static constexpr float kQ[] = {-1.45660718464996e-05f, -2.13374055278905e-04f,
                                 -1.68282697438203e-03f, -7.37332916720468e-03f,
                                 -1.42647390514189e-02f};
  const V bounded = clamp(x, hn::Set(d, -4.0f), hn::Set(d, 4.0f));
  const V square = hn::Mul(bounded, bounded);
  const V y = hn::Div(hn::Mul(bounded, polynomial(d, square, kP)), polynomial(d, square, kQ));
  const V one = hn::Set(d, 1.0f);
  return hn::IfThenElse(hn::Gt(hn::Abs(x), hn::Set(d, 3.9f)), hn::CopySign(one, x), y);
}

// x Φ(x), Φ being the normal distribution.
template <class D, class V>
HWY_INLINE V gelu_of(D d, V x) {
#if HWY_TARGET == HWY_AVX3
  // Φ(-a) by polynomials of the distance to the nearest k · kWidth, fitted at Chebyshev's points;
  // the last is zero. The result is within 5e-8 |x|, and half a unit in its last place.
  constexpr float kWidth = 0.390625f, kUnits = 12582912.0f;
  alignas(64) static constexpr float kTable[][16] = {
      {-0.00989467092f, -0.00645118393f, 0.000682054029f, 0.00555543182f, 0.0055476632f,
       0.00263867411f, -2.75955044e-05f, -0.00109821698f, -0.000998701784f, -0.000563280599f,
       -0.000234965293f, -7.69038088e-05f, -2.031435e-05f, -4.4009289e-06f, -7.89949866e-07f, 0},
      {0, -0.0169766303f, -0.0227025766f, -0.0158881824f, -0.00433026534f, 0.00384842767f,
       0.00618418958f, 0.00483315066f, 0.00267188111f, 0.00114283781f, 0.000392554008f,
       0.000110420362f, 2.57353986e-05f, 5.00823853e-06f, 8.18161197e-07f, 0},
      {0.0664888769f, 0.0522050932f, 0.0190944634f, -0.0124900164f, -0.0282742735f, -0.0277869515f,
       -0.0191643294f, -0.0102461772f, -0.00441538775f, -0.00156407489f, -0.000460684736f,
       -0.000113654554f, -2.36033429e-05f, -4.14107535e-06f, -6.15396061e-07f, 0},
      {0, 0.0721926242f, 0.114848368f, 0.117639154f, 0.0919515043f, 0.0578452311f, 0.0299899373f,
       0.0129769938f, 0.00472214352f, 0.00145205122f, 0.000378566299f, 8.38771884e-05f,
       1.58213006e-05f, 2.54394467e-06f, 3.49045195e-07f, 0},
      {-0.398942262f, -0.369637489f, -0.294018f, -0.200772271f, -0.117697015f, -0.0592323653f,
       -0.0255908445f, -0.00949165784f, -0.0030222577f, -0.000826138654f, -0.000193868167f,
       -3.90564128e-05f, -6.75477168e-06f, -1.00290958e-06f, -1.27833928e-07f, 0},
      {0.5f, 0.348037213f, 0.217327744f, 0.120623626f, 0.0590851232f, 0.0254023895f, 0.0095454799f,
       0.00312494067f, 0.00088902557f, 0.000219360401f, 4.686994e-05f, 8.6612099e-06f,
       1.38283497e-06f, 1.90594207e-07f, 2.26620731e-08f, 0}};
  const V a = hn::Min(hn::Abs(x), hn::Set(d, 15 * kWidth));
  const V sum = hn::MulAdd(a, hn::Set(d, 1 / kWidth), hn::Set(d, kUnits));
  const V r = hn::NegMulAdd(hn::Sub(sum, hn::Set(d, kUnits)), hn::Set(d, kWidth), a);
  const auto k = hn::BitCast(hn::RebindToUnsigned<D>(), sum);  // in the last four bits
  const auto coefficients = [&](const float* row) HWY_ATTR {
    return V{_mm512_permutexvar_ps(k.raw, hn::Load(d, row).raw)};
  };
  V below = coefficients(kTable[0]);
  for (size_t i = 1; i < std::size(kTable); ++i)
    below = hn::MulAdd(below, r, coefficients(kTable[i]));
  const V above = hn::Sub(hn::Set(d, 1.0f), below);
  return hn::Mul(x, hn::IfThenElse(hn::Lt(x, hn::Zero(d)), below, above));
#else
  const V half = hn::Set(d, 0.5f);
  const V e = erf_of(d, hn::Mul(x, hn::Set(d, 0.70710678118654752f)));
  return hn::Mul(x, hn::MulAdd(e, half, half));
#endif
}

// Cephes' logf.
template <class D, class V>
HWY_INLINE V log_of(D d, V x) {
  static constexpr float kP[] = {7.0376836292e-2f,  -1.1514610310e-1f, 1.1676998740e-1f,
                                 -1.2420140846e-1f, 1.4249322787e-1f,  -1.6668057665e-1f,
                                 2.0000714765e-1f,  -2.4999993993e-1f, 3.3333331174e-1f};
  const hn::RebindToSigned<D> di;
  const V one = hn::Set(d, 1.0f);
  const auto denormal = hn::Lt(x, hn::Set(d, std::numeric_limits<float>::min()));
  const V scaled = hn::IfThenElse(denormal, hn::Mul(x, hn::Set(d, 8388608.0f)), x);
  const auto bits = hn::BitCast(di, scaled);
  V e = hn::ConvertTo(d, hn::Sub(hn::ShiftRight<23>(bits), hn::Set(di, 126)));
  e = hn::Sub(e, hn::IfThenElseZero(denormal, hn::Set(d, 23.0f)));
  const auto mantissa = hn::Or(hn::And(bits, hn::Set(di, 0x007fffff)), hn::Set(di, 0x3f000000));
  const V m = hn::BitCast(d, mantissa);  // [0.5, 1)
  const auto low = hn::Lt(m, hn::Set(d, 0.707106781186547524f));
  e = hn::Sub(e, hn::IfThenElseZero(low, one));
  const V t = hn::Add(hn::Sub(m, one), hn::IfThenElseZero(low, m));
  const V square = hn::Mul(t, t);
  V y = hn::Mul(hn::Mul(polynomial(d, t, kP), t), square);
  y = hn::MulAdd(e, hn::Set(d, -2.12194440e-4f), y);
  y = hn::MulAdd(square, hn::Set(d, -0.5f), y);
  y = hn::MulAdd(e, hn::Set(d, 0.693359375f), hn::Add(t, y));
  y = hn::IfThenElse(hn::Lt(x, hn::Set(d, kInf)), y, x);  // ∞ and NaN are their own logarithms
  y = hn::IfThenElse(hn::Lt(x, hn::Zero(d)), hn::Set(d, std::numeric_limits<float>::quiet_NaN()),
                     y);
  return hn::IfThenElse(hn::Eq(x, hn::Zero(d)), hn::Set(d, -kInf), y);
}

}  // namespace treadle::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif

#include "backends/cpu/simd/rows.h"

#include <algorithm>
#include <cmath>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/simd/rows.cc"
#include <hwy/foreach_target.h>

#include "backends/cpu/simd/math.h"
#include "backends/cpu/simd/simd.h"

HWY_BEFORE_NAMESPACE();
namespace treadle::cpu::HWY_NAMESPACE {

using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;
constexpr D d;
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

// The fold of f over the row in four chains; `f(accumulator, x)` and `join(a, b)` have the neutral
// element `zero`.
template <class F, class J>
HWY_INLINE V fold(const float* x, size_t n, float zero, F f, J join) {
  const size_t lanes = hn::Lanes(d);
  V a0 = hn::Set(d, zero);
  V a1 = a0;
  V a2 = a0;
  V a3 = a0;
  size_t i = 0;
  for (; i + 4 * lanes <= n; i += 4 * lanes) {
    a0 = f(a0, hn::LoadU(d, x + i));
    a1 = f(a1, hn::LoadU(d, x + i + lanes));
    a2 = f(a2, hn::LoadU(d, x + i + 2 * lanes));
    a3 = f(a3, hn::LoadU(d, x + i + 3 * lanes));
  }
  for (; i + lanes <= n; i += lanes) a0 = f(a0, hn::LoadU(d, x + i));
  a0 = join(join(a0, a1), join(a2, a3));
  if (i < n) {
    HWY_ALIGN float lane[hn::MaxLanes(d)];
    HWY_ALIGN float rest[hn::MaxLanes(d)];
    hn::Store(f(hn::Set(d, zero), load_part(d, x + i, n - i)), d, lane);
    for (size_t k = 0; k < lanes; ++k) rest[k] = k < n - i ? lane[k] : zero;
    a0 = join(a0, hn::Load(d, rest));
  }
  return a0;
}

HWY_INLINE float sum_across(V v) { return hn::GetLane(hn::SumOfLanes(d, v)); }

HWY_INLINE bool has_nan(V v) { return !hn::AllFalse(d, hn::IsNaN(v)); }

template <class F>
HWY_INLINE float sum_with(const float* x, size_t n, F f) {
  return sum_across(fold(x, n, 0, f, [](V a, V b) HWY_ATTR { return hn::Add(a, b); }));
}
HWY_INLINE float max_in(const float* x, size_t n) {
  const auto join = [](V a, V b) HWY_ATTR { return max_of(a, b); };
  const V most = fold(x, n, -kInf, join, join);
  return has_nan(most) ? kNan : hn::GetLane(hn::MaxOfLanes(d, most));
}
HWY_INLINE float min_in(const float* x, size_t n) {
  const auto join = [](V a, V b) HWY_ATTR { return min_of(a, b); };
  const V least = fold(x, n, kInf, join, join);
  return has_nan(least) ? kNan : hn::GetLane(hn::MinOfLanes(d, least));
}

float reduce_row(RowOp op, const float* x, size_t n) {
  switch (op) {
    case RowOp::kMax: return max_in(x, n);
    case RowOp::kMin: return min_in(x, n);
    case RowOp::kSumSquare:
      return sum_with(x, n, [](V a, V b) HWY_ATTR { return hn::MulAdd(b, b, a); });
    case RowOp::kSumAbs:
      return sum_with(x, n, [](V a, V b) HWY_ATTR { return hn::Add(a, hn::Abs(b)); });
    default: return sum_with(x, n, [](V a, V b) HWY_ATTR { return hn::Add(a, b); });
  }
}

// One or two vectors of columns at a time, in four chains of rows.
template <size_t kVectors, class L, class F, class J>
HWY_INLINE void fold_columns(const Columns& c, size_t at, V zero, const L& load, const F& f,
                             const J& join, V (&result)[kVectors]) {
  constexpr size_t kChains = 4;
  const size_t lanes = hn::Lanes(d);
  V sum[kChains][kVectors];
  for (auto& chain : sum) {
    for (V& v : chain) v = zero;
  }
  const float* x = c.x + at;
  size_t row = 0;
  for (; row + kChains <= c.rows; row += kChains) {
#pragma GCC unroll 4
    for (size_t k = 0; k < kChains; ++k) {
#pragma GCC unroll 2
      for (size_t v = 0; v < kVectors; ++v)
        sum[k][v] = f(sum[k][v], load(x + k * c.stride + v * lanes));
    }
    x += kChains * c.stride;
  }
  for (; row < c.rows; ++row, x += c.stride) {
    for (size_t v = 0; v < kVectors; ++v) sum[0][v] = f(sum[0][v], load(x + v * lanes));
  }
  for (size_t v = 0; v < kVectors; ++v) {
    result[v] = join(join(sum[0][v], sum[1][v]), join(sum[2][v], sum[3][v]));
  }
}

template <class F, class J>
HWY_INLINE void columns_with(const Columns& c, float* to, float zero, const F& f, const J& join) {
  const size_t lanes = hn::Lanes(d);
  const V start = hn::Set(d, zero);
  const auto whole = [](const float* x) HWY_ATTR { return hn::LoadU(d, x); };
  size_t at = 0;
  for (; at + 2 * lanes <= c.count; at += 2 * lanes) {
    V pair[2];
    fold_columns(c, at, start, whole, f, join, pair);
    hn::StoreU(pair[0], d, to + at);
    hn::StoreU(pair[1], d, to + at + lanes);
  }
  for (; at < c.count; at += lanes) {
    V one[1];
    const size_t left = c.count - at;
    if (left >= lanes) {
      fold_columns(c, at, start, whole, f, join, one);
      hn::StoreU(one[0], d, to + at);
    } else {
      const auto part = [left](const float* x) HWY_ATTR { return load_part(d, x, left); };
      fold_columns(c, at, start, part, f, join, one);
      store_part(d, one[0], to + at, left);
    }
  }
}

void reduce_columns(RowOp op, const Columns& c, float* to) {
  const auto add = [](V a, V b) HWY_ATTR { return hn::Add(a, b); };
  const auto high = [](V a, V b) HWY_ATTR { return max_of(a, b); };
  const auto low = [](V a, V b) HWY_ATTR { return min_of(a, b); };
  switch (op) {
    case RowOp::kMax: return columns_with(c, to, -kInf, high, high);
    case RowOp::kMin: return columns_with(c, to, kInf, low, low);
    case RowOp::kSumSquare:
      return columns_with(
          c, to, 0, [](V a, V b) HWY_ATTR { return hn::MulAdd(b, b, a); }, add);
    case RowOp::kSumAbs:
      return columns_with(
          c, to, 0, [](V a, V b) HWY_ATTR { return hn::Add(a, hn::Abs(b)); }, add);
    default: return columns_with(c, to, 0, add, add);
  }
}

// One or two vectors of each row.
template <size_t kVectors, class L>
HWY_INLINE void maximum_at(const float* const* rows, size_t count, const L& load,
                           V (&best)[kVectors]) {
  for (size_t v = 0; v < kVectors; ++v) best[v] = load(rows[0], v);
  for (size_t r = 1; r < count; ++r) {
#pragma GCC unroll 2
    for (size_t v = 0; v < kVectors; ++v) best[v] = max_of(best[v], load(rows[r], v));
  }
}

void maximum(const float* const* rows, size_t count, size_t n, float* to) {
  const size_t lanes = hn::Lanes(d);
  size_t i = 0;
  V best[2];
  for (; i + 2 * lanes <= n; i += 2 * lanes) {
    maximum_at(
        rows, count,
        [=](const float* x, size_t v) HWY_ATTR { return hn::LoadU(d, x + i + v * lanes); }, best);
    hn::StoreU(best[0], d, to + i);
    hn::StoreU(best[1], d, to + i + lanes);
  }
  V one[1];
  for (; i + lanes <= n; i += lanes) {
    maximum_at(
        rows, count, [=](const float* x, size_t) HWY_ATTR { return hn::LoadU(d, x + i); }, one);
    hn::StoreU(one[0], d, to + i);
  }
  if (i == n) return;
  maximum_at(
      rows, count, [=](const float* x, size_t) HWY_ATTR { return load_part(d, x + i, n - i); },
      one);
  store_part(d, one[0], to + i, n - i);
}

// Vectors of kLanes bytes; the last one overlaps the one before it.
template <size_t kLanes, class T>
HWY_INLINE void maximum_by(const T* const* rows, size_t count, size_t n, T* to) {
  const hn::FixedTag<T, kLanes> bytes;
  for (size_t i = 0; i < n; i += kLanes) {
    const size_t at = std::min(i, n - kLanes);
    auto best = hn::LoadU(bytes, rows[0] + at);
    for (size_t r = 1; r < count; ++r) best = hn::Max(best, hn::LoadU(bytes, rows[r] + at));
    hn::StoreU(best, bytes, to + at);
  }
}

template <class T>
void maximum_of_bytes(const T* const* rows, size_t count, size_t n, T* to) {
  constexpr size_t kMost = HWY_TARGET == HWY_SCALAR ? 1 : HWY_MAX_BYTES;
  constexpr size_t kFew = HWY_TARGET == HWY_SCALAR ? 1 : 16;
  if (n >= kMost) return maximum_by<kMost>(rows, count, n, to);
  if (n >= kFew) return maximum_by<kFew>(rows, count, n, to);
  maximum_by<1>(rows, count, n, to);
}

// Of what follows the last NaN at least: the sum of exponentials will be NaN.
HWY_INLINE float max_ignoring_nan(const float* x, size_t n) {
  const auto join = [](V a, V b) HWY_ATTR { return hn::Max(a, b); };
  return hn::GetLane(hn::MaxOfLanes(d, fold(x, n, -kInf, join, join)));
}

template <size_t kVectors>
HWY_INLINE void exponentiate_vectors(const float* x, float* y, V top, V* sums) {
  const size_t lanes = hn::Lanes(d);
#pragma GCC unroll 4
  for (size_t v = 0; v < kVectors; ++v) {
    const V e = exp_below(d, hn::Sub(hn::LoadU(d, x + v * lanes), top));
    hn::StoreU(e, d, y + v * lanes);
    sums[v] = hn::Add(sums[v], e);
  }
}

float exponentiate_row(const float* x, float* y, size_t n, float most) {
  constexpr size_t kVectors = HWY_MAX_BYTES >= 64 ? 4 : 2;
  const size_t lanes = hn::Lanes(d);
  const V top = hn::Set(d, most);
  V sums[kVectors];
  for (V& sum : sums) sum = hn::Zero(d);
  size_t i = 0;
  for (; i + kVectors * lanes <= n; i += kVectors * lanes)
    exponentiate_vectors<kVectors>(x + i, y + i, top, sums);
  for (; i + lanes <= n; i += lanes) exponentiate_vectors<1>(x + i, y + i, top, sums);
  for (size_t v = 1; v < kVectors; ++v) sums[0] = hn::Add(sums[0], sums[v]);
  if (i < n) {
    const V e = exp_below(d, hn::Sub(load_part(d, x + i, n - i), top));
    store_part(d, e, y + i, n - i);
    sums[0] = hn::Add(sums[0], hn::IfThenElseZero(hn::FirstN(d, n - i), e));
  }
  return sum_across(sums[0]);
}

// All maxima first: the latency of one is hidden behind the loads of the next row.
void exponentiate_rows(const ExpRows& t) {
  for (size_t r = 0; r < t.rows; ++r) t.sums[r] = max_ignoring_nan(t.x + r * t.stride, t.n);
  for (size_t r = 0; r < t.rows; ++r) {
    float* row = t.x + r * t.stride;
    if (std::all_of(row, row + t.n, [](float x) { return x == -kInf; })) {
      std::fill_n(row, t.n, 0.0F);
      t.sums[r] = 0;
    } else {
      t.sums[r] = exponentiate_row(row, row, t.n, t.sums[r]);
    }
  }
}

void softmax_row(const float* x, float* y, size_t n) {
  const V factor = hn::Set(d, 1.0f / exponentiate_row(x, y, n, max_ignoring_nan(x, n)));
  map_row(d, y, y, n, [=](V v, size_t) HWY_ATTR { return hn::Mul(v, factor); });
}

// As many rows as there are lanes, column by column.
void softmax_short(const float* x, float* y, size_t rows, size_t n) {
  constexpr hn::RebindToSigned<D> di;
  const size_t lanes = hn::Lanes(d);
  const auto starts = hn::Mul(hn::Iota(di, 0), hn::Set(di, static_cast<int32_t>(n)));
  size_t row = 0;
  for (; row + lanes <= rows; row += lanes, x += lanes * n, y += lanes * n) {
    V columns[kShortRow];
    for (size_t j = 0; j < n; ++j) columns[j] = hn::GatherIndex(d, x + j, starts);
    V top = columns[0];
    for (size_t j = 1; j < n; ++j) top = max_of(top, columns[j]);
    V sum = hn::Zero(d);
    for (size_t j = 0; j < n; ++j) {
      columns[j] = exp_below(d, hn::Sub(columns[j], top));
      sum = hn::Add(sum, columns[j]);
    }
    for (size_t j = 0; j < n; ++j) hn::ScatterIndex(hn::Div(columns[j], sum), d, y + j, starts);
  }
  for (; row < rows; ++row, x += n, y += n) softmax_row(x, y, n);
}

void log_softmax_row(const float* x, float* y, size_t n) {
  const float top = max_in(x, n);
  const V shift = hn::Set(d, top);
  const float sum =
      sum_with(x, n, [=](V a, V b) HWY_ATTR { return hn::Add(a, exp_of(d, hn::Sub(b, shift))); });
  const V all = hn::Set(d, std::log(sum));
  map_row(d, x, y, n, [=](V v, size_t) HWY_ATTR { return hn::Sub(hn::Sub(v, shift), all); });
}

NormResult moments_of_row(const float* x, size_t n, float epsilon, bool centred) {
  const auto count = static_cast<float>(n);
  const float mean = centred ? reduce_row(RowOp::kSum, x, n) / count : 0;
  const V centre = hn::Set(d, mean);
  const float squares = sum_with(x, n, [=](V a, V b) HWY_ATTR {
    const V away = hn::Sub(b, centre);
    return hn::MulAdd(away, away, a);
  });
  return {mean, 1.0f / std::sqrt(squares / count + epsilon)};
}

void spread_row(const float* x, const SpreadRow& row, float* y, size_t n) {
  const V centre = hn::Set(d, row.centre);
  const V factor = hn::Set(d, row.factor);
  const V term = hn::Set(d, row.term);
  map_row(d, x, y, n,
          [=](V v, size_t) HWY_ATTR { return hn::MulAdd(hn::Sub(v, centre), factor, term); });
}

NormResult normalize_row(const NormRow& r) {
  const NormResult result = moments_of_row(r.x, r.n, r.epsilon, r.centre);
  const V centre = hn::Set(d, result.mean);
  const V factor = hn::Set(d, result.inverse_deviation);
  const size_t whole = r.n - r.n % hn::Lanes(d);
  map_row(d, r.x, r.y, r.n, [=](V v, size_t i) HWY_ATTR {
    const V unit = hn::Mul(hn::Sub(v, centre), factor);
    const size_t left = r.n - i;
    const V scale = i < whole ? hn::LoadU(d, r.scale + i) : load_part(d, r.scale + i, left);
    if (r.shift == nullptr) return hn::Mul(unit, scale);
    return hn::MulAdd(unit, scale,
                      i < whole ? hn::LoadU(d, r.shift + i) : load_part(d, r.shift + i, left));
  });
  return result;
}

const RowFunctions* row_table() {
  static const RowFunctions table{exponentiate_rows,
                                  softmax_row,
                                  softmax_short,
                                  log_softmax_row,
                                  normalize_row,
                                  moments_of_row,
                                  spread_row,
                                  reduce_row,
                                  reduce_columns,
                                  maximum,
                                  maximum_of_bytes<uint8_t>,
                                  maximum_of_bytes<int8_t>};
  return &table;
}

}  // namespace treadle::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace treadle::cpu {

const RowFunctions& row_functions() { return *TREADLE_DISPATCH(row_table)(); }

}  // namespace treadle::cpu
#endif

#include "backends/cpu/simd/along_axis.h"

#include <algorithm>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/simd/along_axis.cc"
#include <hwy/foreach_target.h>

#include "backends/cpu/simd/math.h"
#include "backends/cpu/simd/simd.h"

HWY_BEFORE_NAMESPACE();
namespace treadle::cpu::HWY_NAMESPACE {

using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;
using DI = hn::RebindToSigned<D>;
using VI = hn::Vec<DI>;
constexpr D d;
constexpr DI di;

// f(vector, i) for the n floats of x, the last vector with zeros behind them.
template <class F>
HWY_INLINE void each_vector(const float* x, size_t n, const F& f) {
  const size_t lanes = hn::Lanes(d);
  size_t i = 0;
  for (; i + lanes <= n; i += lanes) f(hn::LoadU(d, x + i), i);
  if (i < n) f(load_part(d, x + i, n - i), i);
}

// ---- Softmax of columns

// Columns, of which several may be parts of one: where rows lie one after another and are short, so
// many make one of these, the last of which may have an end of nothing.
struct Folded {
  size_t parts;
  size_t rows;
  size_t stride;
  size_t count;
  size_t last;  // columns of the last row
};
HWY_INLINE Folded folded(const Columns& c) {
  constexpr size_t kEnough = 32;  // rows, or joining the parts takes longer than it saves
  if (c.stride != c.count || 2 * c.count > kColumnUnit || c.rows < kEnough)
    return {1, c.rows, c.stride, c.count, c.count};
  const size_t parts = kColumnUnit / c.count;
  const size_t rows = (c.rows + parts - 1) / parts;
  return {parts, rows, parts * c.count, parts * c.count, (c.rows - (rows - 1) * parts) * c.count};
}

// All parts of a column become what f makes of them.
template <class F>
HWY_INLINE void join_parts(const Folded& c, float* x, const F& f) {
  const size_t each = c.count / c.parts;
  for (size_t i = each; i < c.count; ++i) x[i % each] = f(x[i % each], x[i]);
  for (size_t i = each; i < c.count; ++i) x[i] = x[i % each];
}

// Rows that are a power of two apart would drive each other out of the caches: each is read once.
HWY_INLINE void copy_with_maxima(const Folded& c, const float* x, size_t width, float* to,
                                 float* tops) {
  std::fill_n(tops, width, -kInf);
  for (size_t r = 0; r < c.rows; ++r, x += c.stride, to += width) {
    const float* row = x;
    if (r + 1 == c.rows && c.last < c.count) {
      std::fill_n(std::copy_n(x, c.last, to), width - c.last, -kInf);
      row = to;
    }
    each_vector(row, c.count, [=](V v, size_t i) HWY_ATTR {
      hn::StoreU(v, d, to + i);
      // That a NaN may be lost does not matter: the sum of exponentials will be NaN.
      hn::StoreU(hn::Max(hn::LoadU(d, tops + i), v), d, tops + i);
    });
  }
}

// The sum of a vector of columns, of which softmax keeps the exponentials.
template <bool kLog>
HWY_INLINE V exponentiate_column(float* x, size_t rows, size_t width, V top) {
  const auto next = [=](float* at) HWY_ATTR {
    const V e = exp_below(d, hn::Sub(hn::LoadU(d, at), top));
    if constexpr (!kLog) hn::StoreU(e, d, at);
    return e;
  };
  constexpr size_t kChains = 4;
  V sums[kChains];
  for (V& sum : sums) sum = hn::Zero(d);
  size_t r = 0;
  for (; r + kChains <= rows; r += kChains) {
#pragma GCC unroll 4
    for (size_t k = 0; k < kChains; ++k) sums[k] = hn::Add(sums[k], next(x + (r + k) * width));
  }
  for (; r < rows; ++r) sums[0] = hn::Add(sums[0], next(x + r * width));
  return hn::Add(hn::Add(sums[0], sums[1]), hn::Add(sums[2], sums[3]));
}

template <bool kLog>
void softmax_columns(const Columns& columns, float* y, float* scratch) {
  const Folded c = folded(columns);
  const size_t lanes = hn::Lanes(d);
  const size_t width = (c.count + lanes - 1) / lanes * lanes;
  float* tops = scratch + c.rows * width;
  float* sums = tops + width;
  copy_with_maxima(c, columns.x, width, scratch, tops);
  join_parts(c, tops, [](float a, float b) { return std::max(a, b); });
  for (size_t i = 0; i < width; i += lanes) {
    const V top = hn::LoadU(d, tops + i);
    hn::StoreU(exponentiate_column<kLog>(scratch + i, c.rows, width, top), d, sums + i);
  }
  join_parts(c, sums, [](float a, float b) { return a + b; });
  for (size_t i = 0; i < width; i += lanes) {
    const V sum = hn::LoadU(d, sums + i);
    hn::StoreU(kLog ? log_of(d, sum) : hn::Div(hn::Set(d, 1.0f), sum), d, sums + i);
  }
  const auto result = [=](V v, size_t i) HWY_ATTR {
    const V sum = hn::LoadU(d, sums + i);
    return kLog ? hn::Sub(hn::Sub(v, hn::LoadU(d, tops + i)), sum) : hn::Mul(v, sum);
  };
  for (size_t r = 0; r < c.rows; ++r)
    map_row(d, scratch + r * width, y + r * c.stride, r + 1 < c.rows ? c.count : c.last, result);
}

// ---- ArgMax; ArgMin is that of the negated numbers

HWY_INLINE V flip_of(const ArgChoice& choice) {
  return choice.least ? hn::SignBit(d) : hn::Zero(d);
}

struct Best {
  V x;
  VI index;
};

// `x` follows `best` in the order of indices.
template <bool kLast>
HWY_INLINE Best better(const Best& best, V x, VI index) {
  hn::Mask<D> won;
  if constexpr (kLast) {
    won = hn::Or(hn::Ge(x, best.x), hn::IsNaN(x));
  } else {
    won = hn::Or(hn::Gt(x, best.x), hn::AndNot(hn::IsNaN(best.x), hn::IsNaN(x)));
  }
  return {hn::IfThenElse(won, x, best.x),
          hn::IfThenElse(hn::RebindMask(di, won), index, best.index)};
}

// What is best so far stays in L1, while rows are read as they lie.
template <bool kLast>
HWY_INLINE void arg_block(const Columns& c, V flip, int64_t* to) {
  HWY_ALIGN float best[kArgColumns];
  HWY_ALIGN int32_t index[kArgColumns];
  each_vector(c.x, c.count,
              [&](V v, size_t i) HWY_ATTR { hn::Store(hn::Xor(v, flip), d, best + i); });
  std::fill_n(index, kArgColumns, 0);
  for (size_t r = 1; r < c.rows; ++r) {
    const VI row = hn::Set(di, static_cast<int32_t>(r));
    each_vector(c.x + r * c.stride, c.count, [&](V v, size_t i) HWY_ATTR {
      const Best now =
          better<kLast>({hn::Load(d, best + i), hn::Load(di, index + i)}, hn::Xor(v, flip), row);
      hn::Store(now.x, d, best + i);
      hn::Store(now.index, di, index + i);
    });
  }
  std::copy_n(index, c.count, to);
}

void arg_columns(const Columns& c, const ArgChoice& choice, int64_t* to) {
  const V flip = flip_of(choice);
  for (size_t i = 0; i < c.count; i += kArgColumns) {
    const Columns block{.x = c.x + i,
                        .rows = c.rows,
                        .stride = c.stride,
                        .count = std::min(kArgColumns, c.count - i)};
    choice.last ? arg_block<true>(block, flip, to + i) : arg_block<false>(block, flip, to + i);
  }
}

// Iota counts up in memory where it does not begin at a constant.
HWY_INLINE VI indices_from(size_t i) {
  return hn::Add(hn::Iota(di, 0), hn::Set(di, static_cast<int32_t>(i)));
}

// Among the lanes of all chains.
template <bool kLast, size_t kChains>
HWY_INLINE int64_t index_of_best(const Best (&chains)[kChains]) {
  V top = chains[0].x;
  for (size_t k = 1; k < kChains; ++k) top = max_of(top, chains[k].x);
  const bool nan = !hn::AllFalse(d, hn::IsNaN(top));
  if (!nan) top = hn::MaxOfLanes(d, top);
  const VI none = hn::Set(di, kLast ? -1 : std::numeric_limits<int32_t>::max());
  const auto where = [=](const Best& c) HWY_ATTR {
    const auto chosen = nan ? hn::IsNaN(c.x) : hn::Eq(c.x, top);
    return hn::IfThenElse(hn::RebindMask(di, chosen), c.index, none);
  };
  VI index = where(chains[0]);
  for (size_t k = 1; k < kChains; ++k) {
    index = kLast ? hn::Max(index, where(chains[k])) : hn::Min(index, where(chains[k]));
  }
  return hn::GetLane(kLast ? hn::MaxOfLanes(di, index) : hn::MinOfLanes(di, index));
}

// Of a row of at least kChains vectors.
template <bool kLast, size_t kChains>
HWY_INLINE int64_t arg_long_row(const float* x, size_t n, V flip) {
  const size_t lanes = hn::Lanes(d);
  const auto take = [=](Best& best, size_t i) HWY_ATTR {
    best = better<kLast>(best, hn::Xor(hn::LoadU(d, x + i), flip), indices_from(i));
  };
  Best best[kChains];
  for (size_t k = 0; k < kChains; ++k) {
    best[k] = {hn::Xor(hn::LoadU(d, x + k * lanes), flip), indices_from(k * lanes)};
  }
  size_t i = kChains * lanes;
  for (; i + kChains * lanes <= n; i += kChains * lanes) {
#pragma GCC unroll 4
    for (size_t k = 0; k < kChains; ++k) take(best[k], i + k * lanes);
  }
  for (; i < n; i += lanes) take(best[0], std::min(i, n - lanes));
  return index_of_best<kLast>(best);
}

template <bool kLast>
HWY_INLINE int64_t arg_row(const float* x, size_t n, V flip) {
  const size_t lanes = hn::Lanes(d);
  if (n >= 4 * lanes) return arg_long_row<kLast, 4>(x, n, flip);
  if (n >= lanes) return arg_long_row<kLast, 1>(x, n, flip);
  const V part = hn::Xor(load_part(d, x, n), flip);
  const Best best[1] = {{hn::IfThenElse(hn::FirstN(d, n), part, hn::Set(d, -kInf)),
                         hn::IfThenElse(hn::FirstN(di, n), indices_from(0),
                                        hn::Set(di, kLast ? -1 : static_cast<int32_t>(n)))}};
  return index_of_best<kLast>(best);
}

template <bool kLast>
HWY_INLINE void arg_rows_with(const float* x, size_t rows, size_t n, V flip, int64_t* to) {
  for (size_t r = 0; r < rows; ++r) to[r] = arg_row<kLast>(x + r * n, n, flip);
}
void arg_rows(const float* x, size_t rows, size_t n, const ArgChoice& choice, int64_t* to) {
  const V flip = flip_of(choice);
  choice.last ? arg_rows_with<true>(x, rows, n, flip, to)
              : arg_rows_with<false>(x, rows, n, flip, to);
}

const AxisFunctions* axis_table() {
  static const AxisFunctions table{softmax_columns<false>, softmax_columns<true>, arg_columns,
                                   arg_rows};
  return &table;
}

}  // namespace treadle::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace treadle::cpu {

const AxisFunctions& axis_functions() { return *TREADLE_DISPATCH(axis_table)(); }

}  // namespace treadle::cpu
#endif
